"""A new hospital, from unlabeled DICOM to the decision whether a model may be used there.

    python -m pipelines.onboard_hospital --archive ARCHIVE --site E --run runs/fixmatch --out onboarding_e
    python -m pipelines.onboard_hospital --archive ARCHIVE --site E --run runs/fixmatch --out onboarding_e \
        --criteria criteria.yaml --margin margin.json --labels labels.csv

Eight steps: ingest, health check, adaptation, plan, queue, labels, validation, decision. `onboarding.json` records each
with the hashes of its inputs and outputs, `onboarding.html` shows them. The same command goes on where it stopped, and
does again what depends on a changed input. Where a person must do something first, it ends with exit code 0 and says
what. docs/how-to/onboard.md explains it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli import yield_cores
from heart2heart.reporting.onboarding_page import STATES, TITLES
from heart2heart.schema.onboarding import OnboardingRecord, StepName, StepRecord, StepState
from pipelines.command_line import run as run_command
from pipelines.onboarding_journal import (
    PAGE,
    Journal,
    Step,
    archive_fingerprint,
    content_sha256,
    one_writer,
)
from pipelines.onboarding_settings import OnboardingSettings, check_settings, keep_criteria
from pipelines.onboarding_steps import adapt, file_sha256, health, ingest, plan, queue, settings_sha256
from pipelines.onboarding_validation import is_synthetic, make_decision, read_labels, validate


def onboard(settings: OnboardingSettings) -> OnboardingRecord:
    """Do every step that is not done, until a person must do something or the decision is made.

    Args:
        settings: The options.

    Returns:
        The record, as it is in `onboarding.json`.

    Raises:
        Heart2HeartError: an option that cannot be used, or a step that failed.
    """
    check_settings(settings)
    with one_writer(settings.out):
        journal = Journal(settings.out, settings.site, settings.model.name)
        keep_criteria(settings)
        for step in build_steps(settings, journal):
            record, was_done = journal.run(step)
            print(_line(record, was_done=was_done), flush=True)
            if step.name is StepName.INGEST:
                journal.save(journal.record.model_copy(update={"synthetic": is_synthetic(settings)}))
            if record.state is StepState.WAITING:
                break
        return journal.record


def build_steps(settings: OnboardingSettings, journal: Journal) -> list[Step]:
    """Return the steps with what each depends on.

    Args:
        settings: The options.
        journal: Knows the outputs of earlier steps.
    """

    def model() -> dict[str, str]:
        split = "" if settings.manifest is None else settings.manifest.sha256
        return {"model": content_sha256(settings.run), "split": split}

    def store() -> dict[str, str]:
        return {"store": content_sha256(settings.store)}

    def earlier(*names: StepName) -> dict[str, str]:
        return {str(name): journal.outputs(name) for name in names}

    def archive() -> dict[str, str]:
        if settings.archive is None:
            return store()
        return {"archive": archive_fingerprint(settings.archive)}

    def ingest_inputs() -> dict[str, str]:
        return archive() | {"settings": settings_sha256(settings.site, settings.frames, settings.model.geometry)}

    def plan_inputs() -> dict[str, str]:
        values = (settings.patients, settings.studies, settings.seed)
        files = {"margin": file_sha256(settings.margin), "reference": file_sha256(settings.reference)}
        return store() | model() | earlier(StepName.ADAPT) | files | {"settings": settings_sha256(*values)}

    def queue_inputs() -> dict[str, str]:
        values = settings_sha256(settings.clips_each, settings.seed)
        return store() | earlier(StepName.ADAPT, StepName.PLAN) | {"settings": values}

    def label_inputs() -> dict[str, str]:
        labels = file_sha256(settings.labels or settings.out / "labels.db")
        values = settings_sha256(settings.vocabulary, settings.skip_unknown, settings.labels is None)
        names = (StepName.ADAPT, StepName.PLAN, StepName.QUEUE)
        return store() | earlier(*names) | {"labels": labels, "settings": values, "model": model()["model"]}

    def validate_inputs() -> dict[str, str]:
        values = settings_sha256(settings.task, settings.replicates, settings.seed)
        names = (StepName.ADAPT, StepName.LABEL)
        return store() | model() | earlier(*names) | {"margin": file_sha256(settings.margin), "settings": values}

    def decide_inputs() -> dict[str, str]:
        files = {"criteria": file_sha256(settings.registered_criteria), "study": file_sha256(settings.study)}
        values = settings_sha256(settings.replicates, settings.seed)
        return earlier(StepName.VALIDATE) | files | {"settings": values}

    tables = ("scored.db", "scored.csv", "imported.db")
    return [
        Step(StepName.INGEST, ingest_inputs, lambda: ingest(settings)),
        Step(StepName.HEALTH, lambda: archive() | store() | model(), lambda: health(settings)),
        Step(
            StepName.ADAPT,
            lambda: store() | model() | {"seed": str(settings.seed)},
            lambda: adapt(settings),
            ("adapted",),
        ),
        Step(StepName.PLAN, plan_inputs, lambda: plan(settings), ("plan.json", "plan.svg")),
        Step(StepName.QUEUE, queue_inputs, lambda: queue(settings), ("queue.csv",)),
        Step(StepName.LABEL, label_inputs, lambda: read_labels(settings), tables),
        Step(StepName.VALIDATE, validate_inputs, lambda: validate(settings, journal), ("validation", "tables")),
        Step(StepName.DECIDE, decide_inputs, lambda: make_decision(settings, journal), ("report",)),
    ]


def _line(record: StepRecord, *, was_done: bool) -> str:
    """Return what the terminal shows of a step."""
    state = "unchanged" if was_done else STATES[record.state].text
    lines = [f"{TITLES[record.name]}: {state}. {record.summary}"]
    if record.state is StepState.WAITING or record.name is StepName.DECIDE:
        lines += [f"  missing: {each}" for each in record.missing]
        lines += [f"  next: {each}" for each in record.next_commands]
    return "\n".join(lines)


def main(
    site: Annotated[str, typer.Option(help="Name of the hospital, as it may appear in a report.")],
    run: Annotated[Path, typer.Option(help="Folder of the run: the model.")],
    out: Annotated[Path, typer.Option(help="Folder for everything that is written.")],
    archive: Annotated[Path | None, typer.Option(help="Folder with the DICOM files.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Frame store that holds the hospital already, instead of an archive.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Table of labels, or label store. By default OUT/labels.db, once it is whole.")
    ] = None,
    criteria: Annotated[Path | None, typer.Option(help="Criteria of the decision, as YAML.")] = None,
    study: Annotated[Path | None, typer.Option("--about", help="Description of the study, for the checklists.")] = None,
    margin: Annotated[Path | None, typer.Option(help="Registered margin.")] = None,
    reference: Annotated[Path | None, typer.Option(help="metrics.json of the model at its source, a pilot.")] = None,
    split: Annotated[Path | None, typer.Option(help="The run's split, where it moved.")] = None,
    train_store: Annotated[
        list[Path] | None, typer.Option(help="Store of the run's split, where it moved; repeatable.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key of the pseudonyms. By default OUT/store.key.")] = None,
    frames: Annotated[str, typer.Option(help="Frames to keep of a clip: all, every:N, even:K or ed_es:K.")] = "all",
    vocabulary: Annotated[str, typer.Option(help="Vocabulary of the views in a table of labels.")] = "heart2heart",
    skip_unknown: Annotated[bool, typer.Option(help="Skip labels of clips that are not in the store.")] = False,
    task: Annotated[str, typer.Option(help="Noun of what the classes are.")] = "view",
    patients: Annotated[
        int | None, typer.Option(help="Patients to label. By default those of the plan.", min=2)
    ] = None,
    clips: Annotated[int, typer.Option(help="Most clips of a patient to label.", min=1)] = 8,
    studies: Annotated[int, typer.Option(help="Simulated studies of the plan.", min=50)] = 1000,
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates.", min=100)] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Processes of the ingest.", min=1)] = 2,
) -> None:
    """Take a hospital from unlabeled DICOM to the decision; the same command goes on."""
    settings = OnboardingSettings(
        site=site,
        run=run,
        out=out,
        archive=archive,
        filled_store=store,
        key=key,
        frames=frames,
        labels=labels,
        vocabulary=vocabulary,
        skip_unknown=skip_unknown,
        task=task,
        criteria=criteria,
        study=study,
        margin=margin,
        reference=reference,
        split=split,
        train_stores=tuple(train_store or ()),
        patients=patients,
        clips_each=clips,
        studies=studies,
        replicates=replicates,
        seed=seed,
        workers=workers,
    )
    onboard(settings)
    print(f"{out / PAGE} tells every step")


if __name__ == "__main__":
    yield_cores()
    run_command(main)
