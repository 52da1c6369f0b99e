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
    from heart2heart.named_configs import find_config
    from heart2heart.progress import progress_bar
    from heart2heart.training.config import TrainConfig
    from heart2heart.training.train import train

    settings = TrainConfig.load(find_config(config), [*(override or ()), *data_overrides(store, split)])
    if os.environ.get("RANK", "0") != "0":  # torchrun started several of us, and the first one speaks
        train(settings, out)
        return
    with progress_bar(f"train {out.name}", settings.steps) as progress:
        run = train(settings, out, progress=progress)
    info = run.info()
    for note in run.directory.record.notes:
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
    from heart2heart.api import evaluate_runs
    from heart2heart.progress import progress_bar
    from heart2heart.reporting.terminal_table import summary_table

    command = f"heart2heart evaluate {' '.join(run.name for run in runs)}"
    with progress_bar("evaluate", 100) as progress:
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
    from heart2heart.evaluation.cross_split import read_folds
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.reporting.terminal_table import summary_table
    from heart2heart.reporting.writer import write_report
    from heart2heart.schema.predictions import Predictions

    read = Predictions.read(predictions)
    several = read_folds(folds) if folds else None
    metrics = evaluate_predictions(read, replicates=replicates, seed=seed, bca=bca)
    path = write_report(read, metrics, out, folds=several)
    print(f"{summary_table(metrics)}\n{path}")


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    files: Annotated[list[Path], typer.Argument(help="DICOM clips.")],
    output: Annotated[PredictionFormat, typer.Option("--format", help="table, csv or json.")] = PredictionFormat.TABLE,
    frames: Annotated[str, typer.Option(help="Frames to read: all, every:N, even:K or ed_es:K.")] = "all",
) -> None:
    """Name the view of DICOM clips, with probabilities per clip and per frame.

    Example: heart2heart predict runs/fixmatch clip.dcm --format json
    """
    from heart2heart.api import predict_files
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
    from heart2heart.export.export import export_run
    from heart2heart.training.run import Run

    formats = tuple(item.value for item in form or [ExportFormat.PT2])
    for path in export_run(Run.load(run), out, formats).values():
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
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError
    from heart2heart.named_configs import find_config
    from heart2heart.progress import progress_bar
    from heart2heart.training.config import TrainConfig
    from heart2heart.training.sweep.plan import SweepPlan, read_grid
    from heart2heart.training.sweep.sweep import sweep as run_sweep

    if not all(seed.strip().isdecimal() for seed in seeds.split(",")):
        raise ConfigError(f"{seeds!r} is no list of seeds", where="--seeds", remedy="Example: --seeds 0,1,2")
    numbers = tuple(int(seed) for seed in seeds.split(","))
    settings = TrainConfig.load(find_config(config), [*(override or ()), *data_overrides(store, split)])
    plan = SweepPlan.create(settings, read_grid(grid), numbers, keep)
    with progress_bar(f"sweep {out.name}", plan.steps()) as progress:
        found = run_sweep(plan, out, progress=progress)
    header = ("trial", *plan.grid, "steps", "score", "deviation", "outcome")
    rows = [
        (trial.number, *map(str, trial.point.values()), trial.steps, trial.score, trial.deviation, trial.outcome)
        for trial in found.trials
    ]
    print(text_table(header, rows))
    print(f"{out / 'results.csv'}\n{found.chosen}")
