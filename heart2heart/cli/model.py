"""Verbs from a split to a report: train, evaluate, report, predict, export."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import StoreOption


class Format(StrEnum):
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
    from heart2heart.learn import TrainConfig, train
    from heart2heart.named_configs import find_config
    from heart2heart.progress import stage

    settings = TrainConfig.load(find_config(config), [*(override or ()), *data_overrides(store, split)])
    if os.environ.get("RANK", "0") != "0":  # torchrun started several of us, and the first one speaks
        train(settings, out)
        return
    with stage(f"train {out.name}", settings.steps) as progress:
        run = train(settings, out, progress=progress)
    info = run.info()
    for note in run.folder.record.notes:
        print(f"note: {note}")
    print(f"{out}: {info.steps} steps in {info.seconds:.0f} s; weights of step {info.selected_step} ({info.selection})")


def data_overrides(store: list[Path] | None, split: Path | None) -> list[str]:
    """Return the overrides that name where the data lie."""
    stores = [f"data.stores=[{', '.join(map(_quoted, store))}]"] if store else []
    return stores + ([f"data.split={_quoted(split)}"] if split else [])


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, all of one split.")],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Folder for predictions.parquet and metrics.json.")],
    split: Annotated[Path | None, typer.Option(help="The runs' split, if it has moved.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label book, for the names of the raters.")] = None,
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
    from heart2heart.progress import stage
    from heart2heart.report import summary_table
    from heart2heart.workflow import evaluate_runs

    command = f"heart2heart evaluate {' '.join(run.name for run in runs)}"
    with stage("evaluate", 100) as progress:
        metrics = evaluate_runs(
            runs,
            store,
            out,
            command=command,
            split=split,
            labels=labels,
            replicates=replicates,
            seed=seed,
            bca=bca,
            probes=probes,
            progress=progress,
        )
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
    from heart2heart.evaluate import evaluate_predictions, read_folds
    from heart2heart.predictions import Predictions
    from heart2heart.report import summary_table, write_report

    read = Predictions.read(predictions)
    several = read_folds(folds) if folds else None
    metrics = evaluate_predictions(read, replicates=replicates, seed=seed, bca=bca)
    path = write_report(read, metrics, out, folds=several)
    print(f"{summary_table(metrics)}\n{path}")


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    files: Annotated[list[Path], typer.Argument(help="DICOM clips.")],
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.TABLE,
    frames: Annotated[str, typer.Option(help="Frames to read: all, every:N, even:K or ed_es:K.")] = "all",
) -> None:
    """Name the view of DICOM clips, with probabilities per clip and per frame.

    Example: heart2heart predict runs/fixmatch clip.dcm --format json
    """
    from heart2heart.cli.predictions import render
    from heart2heart.workflow import predict_files

    print(render(predict_files(run, files, rule=frames), output.value))


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the exported files.")],
    form: Annotated[list[ExportFormat] | None, typer.Option("--format", help="pt2 or onnx; repeatable.")] = None,
) -> None:
    """Export a trained network and check it against the run's own outputs.

    Example: heart2heart export runs/fixmatch --out exported --format pt2
    """
    from heart2heart.export import export_run
    from heart2heart.learn import Run

    formats = tuple(item.value for item in form or [ExportFormat.PT2])
    for path in export_run(Run.load(run), out, formats).values():
        print(path)
