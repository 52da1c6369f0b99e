"""The verb that adapts a finished run to one hospital: adapt."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import StoreOption


class StatisticsChoice(StrEnum):
    """How the statistics of batch normalisation are estimated."""

    AUTO = "auto"
    PRIOR_AWARE = "prior_aware"
    PLAIN = "plain"
    SOURCE = "source"


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("adapt")(adapt)


def adapt(
    run: Annotated[Path, typer.Argument(help="Folder of the run; it stays as it is.")],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Folder of the adapted run.")],
    site: Annotated[str | None, typer.Option(help="The hospital, where the store holds several.")] = None,
    split: Annotated[Path | None, typer.Option(help="The run's split, if it has moved.")] = None,
    patient: Annotated[
        list[str] | None, typer.Option(help="Pseudonym of a patient to take; repeatable. Default: all who may adapt.")
    ] = None,
    statistics: Annotated[
        StatisticsChoice, typer.Option(help="plain counts the views as they come, prior_aware as in training.")
    ] = StatisticsChoice.AUTO,
    prior_patients: Annotated[
        float, typer.Option(min=0, help="Number of patients that the source's statistics are worth.")
    ] = 1.0,
    entropy_steps: Annotated[int, typer.Option(min=0, help="Steps of entropy minimisation (TENT).")] = 0,
    correct_prior: Annotated[
        bool, typer.Option("--correct-prior", help="Correct the logits for the hospital's shares of the views.")
    ] = False,
    labels: Annotated[Path | None, typer.Option(help="Label store, for --shots.")] = None,
    shots: Annotated[
        int, typer.Option(min=0, help="Labeled clips that fit a temperature and the shares of the views.")
    ] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Keep the adapted statistics even where a check says that they do harm.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of all that is drawn.")] = 0,
) -> None:
    """Adapt a run to a hospital with unlabeled frames of patients who are never scored there.

    Where a check without labels says that adaptation would do harm, the new run keeps the source's statistics.

    Example: heart2heart adapt runs/fixmatch --store store_d --out runs/fixmatch_at_d
    """
    from heart2heart.api.adaptation import adapt
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    with progress_bar(f"adapt {run.name}", 100) as progress:
        adapted = adapt(
            run, store, out, site=site, split=split, patients=patient or (), statistics=statistics.value,
            prior_patients=prior_patients, entropy_steps=entropy_steps, correct_prior=correct_prior, labels=labels,
            shots=shots, refuse=not force, seed=seed, progress=progress,
        )  # fmt: skip
    record = adapted.directory.record.adaptation
    assert record is not None
    if record.checks:
        rows = [(check.name, "pass" if check.passed else "FAIL", check.detail) for check in record.checks]
        print(text_table(("check", "status", "found"), rows))
    count = f"{record.frames} frames of {len(record.patients)} patients of {record.site}"
    print(f"{out}: {record.outcome} ({count})")
