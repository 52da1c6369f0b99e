"""Verbs from a split to a report: train, sweep, evaluate, report, predict, export."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import StoreOption


class PredictionFormat(StrEnum):
    """How predictions are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class ExportFormat(StrEnum):
    """What a run can be exported to."""

    PT2 = "pt2"
    ONNX = "onnx"


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for verb in (train, evaluate, report, predict, export):
        app.command(verb.__name__)(verb)


def train(
    config: Annotated[Path, typer.Argument(help="YAML file, or a packaged name as `heart2heart configs` lists them.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on.")],
    override: Annotated[list[str] | None, typer.Argument(help="Overrides such as optimiser.lr=0.03.")] = None,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store; repeatable. Overrides data.stores.")] = None,
    split: Annotated[Path | None, typer.Option(help="Certified split. Overrides data.split.")] = None,
) -> None:
    """Train a view classifier, or go on with a run that was stopped.

    Started by torchrun, several processes train one run together: torchrun --nproc-per-node 2 -m heart2heart train ...

    Example: heart2heart train demo/labels_only --store store --split split --out runs/labels_only
    """
    from heart2heart.api.models import train
    from heart2heart.progress import progress_bar

    run = train(config, out, stores=store or None, split=split, overrides=override or (), stage=progress_bar)
    if os.environ.get("RANK", "0") != "0":  # torchrun started several processes, and the first one prints
        return
    info = run.info()
    for note in run.directory.record.notes:
        print(f"note: {note}")
    print(f"{out}: {info.steps} steps in {info.seconds:.0f} s; weights of step {info.selected_step} ({info.selection})")


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, all of one split.")],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Folder for predictions.parquet and metrics.json.")],
    split: Annotated[Path | None, typer.Option(help="The runs' split, if it has moved.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label store, for the names of the raters.")] = None,
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
    probes: Annotated[
        bool, typer.Option("--probes", help="Predict altered frames too: the scan blacked out, backgrounds swapped.")
    ] = False,
) -> None:
    """Predict every labeled test frame and score each hospital with patient-cluster intervals.

    Example: heart2heart evaluate runs/labels_only runs/fixmatch --store store --out evaluation
    """
    from heart2heart.api.evaluation import evaluate, summary_table
    from heart2heart.progress import progress_bar

    with progress_bar("evaluate", 100) as progress:
        metrics = evaluate(
            runs, store, out, split=split, labels=labels, replicates=replicates, seed=seed, bca=bca, probes=probes,
            progress=progress,
        )  # fmt: skip
    print(summary_table(metrics))
    print(f"{out / 'predictions.parquet'}\n{out / 'metrics.json'}")


def report(
    predictions: Annotated[Path, typer.Argument(help="predictions.parquet of an evaluation.")],
    out: Annotated[Path, typer.Option(help="HTML file to write; the model card and checklists go beside it.")] = Path(
        "report.html"
    ),
    folds: Annotated[Path | None, typer.Option(help="folds.json of several splits, shown as well.")] = None,
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
) -> None:
    """Write the cross-hospital report, recomputed from the predictions alone.

    Example: heart2heart report evaluation/predictions.parquet --out report.html
    """
    from heart2heart.api.evaluation import report

    page = report(predictions, out, folds=folds, replicates=replicates, seed=seed, bca=bca)
    print(f"{page.table}\n{page.path}")


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    files: Annotated[list[Path], typer.Argument(help="DICOM clips.")],
    output: Annotated[PredictionFormat, typer.Option("--format", help="table, csv or json.")] = PredictionFormat.TABLE,
    frames: Annotated[str, typer.Option(help="Frames to read: all, every:N, even:K or ed_es:K.")] = "all",
) -> None:
    """Name the view of DICOM clips, with probabilities per clip and per frame.

    Example: heart2heart predict runs/fixmatch clip.dcm --format json
    """
    from heart2heart.api.prediction import predict_files
    from heart2heart.cli.output import format_predictions

    print(format_predictions(predict_files(run, files, rule=frames), output.value))


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the exported files.")],
    form: Annotated[list[ExportFormat] | None, typer.Option("--format", help="pt2 or onnx; repeatable.")] = None,
) -> None:
    """Export a trained network and check it against the run's own outputs.

    Example: heart2heart export runs/fixmatch --out exported --format pt2
    """
    from heart2heart.api.models import export_model

    for path in export_model(run, out, formats=[item.value for item in form or [ExportFormat.PT2]]):
        print(path)


def register_sweep(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("sweep")(sweep)


def sweep(
    config: Annotated[Path, typer.Argument(help="YAML file, or packaged name, that every run shares.")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep; a stopped sweep goes on.")],
    grid: Annotated[list[str], typer.Option(help="Key and its values, such as optimiser.lr=0.01,0.03; repeatable.")],
    override: Annotated[list[str] | None, typer.Argument(help="Overrides such as steps=2000.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds that each point of the grid is trained with.")] = "0",
    keep: Annotated[int, typer.Option(min=2, help="One point in so many goes on from a rung to the next.")] = 3,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store; repeatable. Overrides data.stores.")] = None,
    split: Annotated[Path | None, typer.Option(help="Certified split. Overrides data.split.")] = None,
) -> None:
    """Tune by successive halving over a grid and seeds, selecting on source validation frames alone.

    Example: heart2heart sweep demo/labels_only --grid optimiser.lr=0.01,0.03 --seeds 0,1 --out sweeps/lr
    """
    from heart2heart.api.models import sweep
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    result = sweep(
        config, out, grid=grid, seeds=seeds, keep=keep, stores=store or None, split=split, overrides=override or (),
        stage=progress_bar,
    )  # fmt: skip
    header = ("trial", *result.plan.grid, "steps", "score", "deviation", "outcome")
    rows = [
        (trial.number, *map(str, trial.point.values()), trial.steps, trial.score, trial.deviation, trial.outcome)
        for trial in result.trials
    ]
    print(text_table(header, rows))
    print(f"{out / 'results.csv'}\n{result.chosen}")
