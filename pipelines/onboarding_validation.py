"""The steps of an onboarding that need labels: reading them, the validation and the decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

import heart2heart as h2h
from heart2heart.api import load_run
from heart2heart.csv_files import CsvWriter
from heart2heart.datasets.file_readers import read_csv
from heart2heart.errors import LabelError
from heart2heart.labels.consensus import frame_labels
from heart2heart.progress import progress_bar
from heart2heart.reporting.numbers import interval, percent
from heart2heart.schema.decision import DecisionKind, HospitalDecision
from heart2heart.schema.onboarding import StepState
from heart2heart.schema.validation import TrainingData
from heart2heart.training.run import Run
from heart2heart.utils import read_json
from pipelines.onboarding_journal import Journal, StepResult
from pipelines.onboarding_settings import OnboardingSettings
from pipelines.onboarding_steps import adaptation_record, scored_patients, usable_clips

_BY_TABLE = "the same command with --labels TABLE.csv (columns clip and label)"


def read_labels(settings: OnboardingSettings) -> StepResult:
    """Read the labels, and keep those of patients who may be scored; without labels, wait for a person."""
    queue = _queue_clips(settings)
    own = settings.out / "labels.db"
    kept = settings.labels if settings.labels is not None else own if own.exists() else None
    if kept is None:
        return _wait(settings, len(queue), 0)
    classes = _own_labels(settings, kept) if settings.own_classes else _views(settings, kept)
    if settings.labels is None and (done := sum(clip in classes.read for clip in queue)) < len(queue):
        return _wait(settings, len(queue), done)
    store = h2h.open_store(settings.store)
    owner = dict(zip(store.clips["clip"].to_pylist(), store.clips["patient"].to_pylist(), strict=True))
    known = [clip for clip in classes.read if clip in owner]
    if not known:
        what = "no label names a clip of this store"
        remedy = "Give the labels of this hospital; labels of another store have other clips"
        raise LabelError(what, where=kept, remedy=remedy)
    scored, of_mode = set(scored_patients(settings)), set(usable_clips(store, settings.site)["clip"].to_pylist())
    usable = {clip: name for clip, name in classes.names.items() if clip in of_mode and owner[clip] in scored}
    of_model = {clip: name for clip, name in usable.items() if name in settings.model.classes}
    if not of_model:
        what = f"no label is a class of the model at a patient of {settings.site} who may be scored"
        raise LabelError(what, where=kept, remedy=f"Classes: {', '.join(settings.model.classes)}")
    _write_scored(settings, kept, usable)
    return _labeled(settings, queue, owner, of_model, len(classes.read), len(usable))


class _Labels:
    """Labels of a file.

    Attributes:
        names: Class by clip, where the readings agree on one.
        read: Clips that somebody read.
    """

    def __init__(self, names: dict[str, str], read: set[str]) -> None:
        self.names, self.read = names, read


def _views(settings: OnboardingSettings, path: Path) -> _Labels:
    labels = h2h.LabelStore(path)
    if path.read_bytes()[:6] != b"SQLite":
        labels = h2h.LabelStore(settings.out / "imported.db")
        key = settings.store_key if settings.store_key.exists() else None
        store = settings.store
        h2h.import_labels(
            path, labels, store, key=key, vocabulary=settings.vocabulary, skip_unknown=settings.skip_unknown
        )
    frames, events = h2h.open_store(settings.store).frames, labels.events()
    views = frame_labels(events, frames)
    clip_of = dict(zip(frames["frame"].to_pylist(), frames["clip"].to_pylist(), strict=True))
    return _Labels({clip_of[frame]: view for frame, view in views.items()}, {event.clip for event in events})


def _own_labels(settings: OnboardingSettings, path: Path) -> _Labels:
    table = read_csv(path, ("clip", "label"), remedy="Write the columns clip and label")
    names: dict[str, str] = {}
    for clip, name in zip(table["clip"], table["label"], strict=True):
        if names.setdefault(clip, name) != name:
            raise LabelError(f"two labels of one clip: {name} and {names[clip]}", where=path, remedy="Keep one")
    return _Labels({clip: name for clip, name in names.items() if name}, set(names))


def _write_scored(settings: OnboardingSettings, path: Path, usable: Mapping[str, str]) -> None:
    """Write the labels of the patients who may be scored, and of no other."""
    if settings.own_classes:
        with (settings.out / "scored.csv").open("w", encoding="utf-8", newline="") as file:
            CsvWriter(file).writerows([("clip", "label"), *sorted(usable.items())])
        return
    imported = settings.out / "imported.db"
    source = h2h.LabelStore(imported if imported.exists() else path)
    h2h.LabelStore(settings.out / "scored.db").append([event for event in source.events() if event.clip in usable])


def _labeled(
    settings: OnboardingSettings,
    queue: list[str],
    owner: Mapping[str, str],
    labels: Mapping[str, str],
    read: int,
    usable: int,
) -> StepResult:
    patients = {owner[clip] for clip in labels}
    target_patients = int(read_json(settings.out / "plan.json", what="plan")["patients"])
    counts = Counter(labels.values())
    facts: dict[str, str | int] = {
        "labeled clips": read,
        "of these, B-mode or colour of patients who may be scored": usable,
        "patients with a class of the model": len(patients),
        "clips by class": ", ".join(f"{name} {counts[name]}" for name in settings.model.classes),
    }
    missing = []
    if len(patients) < target_patients:
        missing.append(f"{len(patients)} of {target_patients} planned patients are labeled.")
    if outside := len(set(labels) - set(queue)):
        missing.append(f"Labeled clips outside the queue: {outside}. Nothing shows that they are a random sample.")
    if left := len(set(queue) - set(labels)):
        missing.append(f"Clips of the queue that show no class of the model, or have no label: {left}.")
    missing += [f"No clip is labeled {name}." for name in settings.model.classes if not counts[name]]
    kept = "scored.csv" if settings.own_classes else "scored.db"
    return StepResult("The labels of patients who may be scored were taken.", facts, tuple(missing), outputs=(kept,))


def _wait(settings: OnboardingSettings, clips: int, done: int) -> StepResult:
    plan = read_json(settings.out / "plan.json", what="plan")
    facts = {"clips to label": clips, "clips labeled": done, "patients": plan["patients"]}
    curate = f"heart2heart curate {_shown_store(settings)} --labels OUT/labels.db --queue OUT/queue.csv"
    by_store = (curate, "the same command again, or with --labels FILE if there is a table of labels")
    commands: tuple[str, ...] = (_BY_TABLE,) if settings.own_classes else by_store
    missing = []
    if not settings.registered_criteria.exists():
        missing.append("No criteria yet: write them now, before the model is tested.")
        commands += ("heart2heart report --criteria-template criteria.yaml",)
    summary = f"{clips - done} clips of {plan['patients']} patients need a label before the model can be tested."
    return StepResult(summary, facts, tuple(missing), commands, state=StepState.WAITING)


def _shown_store(settings: OnboardingSettings) -> str:
    return "STORE" if settings.filled_store else "OUT/store"


def _queue_clips(settings: OnboardingSettings) -> list[str]:
    return list(read_csv(settings.out / "queue.csv", ("clip",), remedy="Run the same command again")["clip"])


def validate(settings: OnboardingSettings, journal: Journal) -> StepResult:
    """Score the frozen model, and the adapted one beside it, on the labeled patients."""
    if not settings.registered_criteria.exists():
        commands = ("heart2heart report --criteria-template criteria.yaml", "the same command with --criteria FILE")
        missing = ("Criteria that are chosen after the result confirm nothing, so they come before the test.",)
        summary = "The test waits for the criteria of the decision."
        return StepResult(summary, {}, missing, commands, state=StepState.WAITING)
    journal.begin_validation()
    models = [settings.model]
    if (settings.out / "adapted" / "run.json").exists():
        models.append(load_run(settings.out / "adapted"))
    out = settings.out / "validation"
    with progress_bar("validate", 100) as progress:
        if settings.own_classes:
            tables = [_prediction_table(settings, model, index) for index, model in enumerate(models)]
            metrics = h2h.validate(
                tables, out, split=settings.split or (settings.manifest.path if settings.manifest else None),
                task=settings.task, synthetic=is_synthetic(settings), margin=settings.margin,
                replicates=settings.replicates, seed=settings.seed, progress=progress,
            )  # fmt: skip
        else:
            metrics = h2h.validate(
                models, out, store=settings.store, labels=settings.out / "scored.db", sites=[settings.site],
                split=settings.split, train_stores=settings.train_stores, task=settings.task, margin=settings.margin,
                replicates=settings.replicates, seed=settings.seed, progress=progress,
            )  # fmt: skip
    facts: dict[str, str | int] = {}
    (site,) = [index for index, each in enumerate(metrics.sites) if each.site == settings.site]
    few = False
    for run in metrics.runs:
        estimate = run.sites[site].balanced_accuracy
        few = few or estimate.few_clusters
        shown = "not estimable" if estimate.value is None else f"{percent(estimate.value)} ({interval(estimate)})"
        facts[f"balanced accuracy, {run.run}"] = shown
        facts[f"{metrics.unit}s, {run.run}"] = estimate.clusters
    lacking: list[str] = []
    if metrics.training_data_note and metrics.training_data is TrainingData.COMPARED:
        facts["training data"] = metrics.training_data_note
    elif metrics.training_data_note:
        lacking.append(metrics.training_data_note)
    if few:
        lacking.append(f"The interval rests on few {metrics.unit}s and is wide: small faults do not show.")
    if (count := journal.count_validation()) > 1:
        lacking.append(
            f"This is validation {count} in this folder. Intervals hold for one look: a decision "
            "that was repeated until it pleased is worth less than it says."
        )
    return StepResult(
        "The frozen model was tested on the labeled patients.", facts, tuple(lacking), outputs=("validation",)
    )


def _prediction_table(settings: OnboardingSettings, model: Run, index: int) -> Path:
    """Write the predictions of frames of labeled clips, for a model whose classes are no views."""
    store = h2h.open_store(settings.store)
    labels = read_csv(settings.out / "scored.csv", ("clip", "label"), remedy="Run the same command again")
    truth = dict(zip(labels["clip"], labels["label"], strict=True))
    rows = [row for row in store.frames.to_pylist() if truth.get(row["clip"]) in model.classes]
    probabilities = model.probabilities(store.read(np.array([row["row"] for row in rows], np.int64)))
    path = settings.out / "tables" / ("adapted.csv" if index else "model.csv")
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = CsvWriter(file)
        writer.writerow(["case", "patient", "study", "clip", "site", "truth", *model.classes])
        for row, values in zip(rows, probabilities.tolist(), strict=True):
            names = [row[name] for name in ("frame", "patient", "study", "clip", "site")]
            writer.writerow([*names, truth[row["clip"]], *values])
    return path


def is_synthetic(settings: OnboardingSettings) -> bool:
    """Return whether a clip of the hospital is simulated."""
    clips = h2h.open_store(settings.store).clips
    return bool(pc.any(clips.filter(pc.equal(clips["site"], settings.site))["synthetic"]).as_py())


def make_decision(settings: OnboardingSettings, journal: Journal) -> StepResult:
    """Decide by the criteria, and write the report, the decision and its printed page."""
    scored = settings.out / "scored.db"
    raters = {event.rater for event in h2h.LabelStore(scored).events()} if scored.exists() else set()
    page = h2h.report(
        settings.out / "validation",
        settings.out / "report" / "report.html",
        accept=settings.registered_criteria,
        study=settings.study,
        labels=scored if len(raters) > 1 else None,
        replicates=settings.replicates,
        seed=settings.seed,
    )
    assert page.decision is not None
    (decision,) = [each for each in page.decision.hospitals if each.site == settings.site]
    claim = page.decision.claim
    facts: dict[str, str | int] = {
        "decision": str(decision.decision).replace("_", " "),
        "model": page.decision.method,
        "labeled patients": decision.patients,
        "criteria": "; ".join(
            f"{str(each.kind).replace('_', ' ')}{f' of {each.class_name}' if each.class_name else ''}: "
            f"{str(each.result).replace('_', ' ')}"
            for each in decision.criteria
        ),
    }
    missing = [claim.note()]
    registration, first = claim.criteria.registration, journal.record.first_validated
    if registration and first and registration.registered > first and not claim.after_look:
        missing.append("These criteria were registered after the first validation of this folder.")
    if settings.study is None:
        missing.append("No description of the study: the checklists of the report stay incomplete (--about).")
    return StepResult(
        decision.reason, facts, tuple(missing), _after(decision, settings), outputs=("report",),
        files=("report/report.html", "report/decision.pdf", "report/decision.json"),
    )  # fmt: skip


def _after(decision: HospitalDecision, settings: OnboardingSettings) -> tuple[str, ...]:
    """Return what a person does after a decision."""
    if decision.decision is DecisionKind.USE:
        return ("heart2heart monitor start monitor.jsonl --reference OUT/validation --site " + settings.site,)
    if decision.decision is DecisionKind.LABEL:
        return (_more_patients(decision, settings),)
    if decision.decision is DecisionKind.ADAPT:
        if decision.adapted_method and adaptation_record(settings) is not None:
            return ("heart2heart predict OUT/adapted CLIP.dcm",)
        return ("recalibrate the model, then validate it on other patients of this hospital",)
    return ("train with labels of this hospital, or take another model",)


def _more_patients(decision: HospitalDecision, settings: OnboardingSettings) -> str:
    """Return how a decision that is open can be made."""
    if decision.more_patients is None:
        return "no number of patients here decides it: test more patients of the source, or ask another question"
    target_patients = decision.patients + decision.more_patients
    if target_patients > len(scored_patients(settings)):
        return f"add further patients to the archive, then the same command with --patients {target_patients}"
    return f"the same command with --patients {target_patients}, then label the new clips of OUT/queue.csv"
