"""Verbs of training and of trained models: train, sweep, adapt, predict, export."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import StoreOption


class PredictionFormat(StrEnum):
    """Format of printed predictions."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class ExportFormat(StrEnum):
    """File format of an exported network."""

    PT2 = "pt2"
    ONNX = "onnx"
    ONNX_INT8 = "onnx_int8"
    BUNDLE = "bundle"
    FOLDER = "folder"


class StatisticsChoice(StrEnum):
    """How the statistics of batch normalisation are estimated."""

    AUTO = "auto"
    PRIOR_AWARE = "prior_aware"
    PLAIN = "plain"
    SOURCE = "source"


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for verb in (train, sweep, adapt, predict, export):
        app.command(verb.__name__)(verb)


def train(
    config: Annotated[Path, typer.Argument(help="YAML file, or a packaged name, listed by `heart2heart configs`.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; a stopped run continues.")],
    override: Annotated[list[str] | None, typer.Argument(help="Overrides such as optimiser.lr=0.03.")] = None,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store; repeatable. Overrides data.stores.")] = None,
    split: Annotated[Path | None, typer.Option(help="Certified split. Overrides data.split.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds such as 0..4 or 0,2,5: one run each, and their ensemble.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Seeds trained at a time; default: one a core.")] = None,
) -> None:
    """Train a view classifier, or continue a stopped run.

    With --seeds, the folder receives a run for each seed, `ensemble` and, where averaging does no harm, `average`.
    With torchrun, several processes train one run: torchrun --nproc-per-node 2 -m heart2heart train ...

    Example: heart2heart train demo/labels_only --store store --split split --out runs/labels_only --seeds 0..4
    """
    from heart2heart.api.models import train
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    if seeds is not None:
        trained = train(
            config, out, stores=store or None, split=split, overrides=override or (), seeds=seeds, workers=workers,
            stage=progress_bar,
        )  # fmt: skip
        record = trained.record
        rows = [(member.run, member.score) for member in record.members]
        rows += [("mean of the seeds", record.mean), ("standard deviation", record.deviation)]
        rows += [
            (model.path.name, model.directory.record.selected_score) for model in trained.models[len(trained.members) :]
        ]
        print(text_table(("model", "source-validation score"), rows))
        for note in record.notes:
            print(f"note: {note}")
        print("\n".join(str(model.path) for model in trained.models))
        return
    run = train(config, out, stores=store or None, split=split, overrides=override or (), stage=progress_bar)
    if os.environ.get("RANK", "0") != "0":  # torchrun started several processes, and the first one prints
        return
    info = run.info()
    for note in run.directory.record.notes:
        print(f"note: {note}")
    print(f"{out}: {info.steps} steps in {info.seconds:.0f} s; weights of step {info.selected_step} ({info.selection})")


def predict(
    run: Annotated[Path, typer.Argument(metavar="MODEL", help="Run folder, or an exported model.")],
    files: Annotated[
        list[str],
        typer.Argument(help="DICOM clips, pictures, videos, or folders of them; with --out also stores and servers."),
    ],
    output: Annotated[PredictionFormat, typer.Option("--format", help="table, csv or json.")] = PredictionFormat.TABLE,
    frames: Annotated[str, typer.Option(help="Frames to read: all, every:N, even:K or ed_es:K.")] = "all",
    out: Annotated[
        Path | None, typer.Option(help="File of answers (JSON Lines), one a file; the same command continues it.")
    ] = None,
    table: Annotated[
        list[Path] | None, typer.Option(help="Table of the answers of --out, .csv or .parquet; repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read files for --out; 0: this process.")] = 2,
    dask: Annotated[
        str | None, typer.Option(help="Dask scheduler (address or scheduler file); its workers read the files.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the network runs with --out, such as cuda.")] = "cpu",
    file_seconds: Annotated[float, typer.Option(help="Seconds that one file may take; then failed:timeout.")] = 600.0,
    file_memory: Annotated[str, typer.Option(help="Memory that one file may take, such as 2GiB.")] = "2048MiB",
    spool: Annotated[
        Path | None, typer.Option(help="Folder for the instances of a DICOMweb server, as `pull` writes it.")
    ] = None,
    query: Annotated[Path | None, typer.Option(help="YAML file of the query of a DICOMweb server.")] = None,
    credentials: Annotated[
        Path | None, typer.Option(help="YAML file (mode 0600) of its credentials. Default: HEART2HEART_DICOMWEB_*")
    ] = None,
) -> None:
    """Classify the view of DICOM clips, pictures and videos, with probabilities per clip and per frame.

    A file that cannot be read does not stop the others: each such file is a line on standard error. With --out,
    folders, zip files, frame stores and DICOMweb servers become a file of answers, one line a file.

    Example: heart2heart predict runs/fixmatch /archive/2024 --out answers.jsonl --table answers.csv
    """
    from heart2heart.api.prediction import predict_paths
    from heart2heart.cli.output import format_predictions

    if out is not None:
        from heart2heart.api.many_files import predict_many
        from heart2heart.progress import progress_bar

        server = {"spool": spool, "query": query, "credentials": credentials}
        done = predict_many(
            run, files, out, tables=table or (), frames=frames, workers=workers, dask=dask, device=device,
            file_seconds=file_seconds, file_memory=file_memory, dicomweb=server, stage=progress_bar,
        )  # fmt: skip
        print(done.summary())
        done.require_clips()
        return
    predictions = predict_paths(run, files, rule=frames)
    print(format_predictions(predictions.clips, output.value))
    if not predictions.scoped:
        print("no scope file: every clip is answered; fit one with: heart2heart scope fit", file=sys.stderr)
    for failed in predictions.failed:
        print(f"no prediction: {failed}", file=sys.stderr)
    predictions.require_all()


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the exported files.")],
    form: Annotated[
        list[ExportFormat] | None,
        typer.Option("--format", help="pt2, onnx, onnx_int8, bundle (MONAI) or folder (a model folder); repeatable."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the model folder.")] = "model",
    split: Annotated[Path | None, typer.Option(help="The run's split, if it has moved.")] = None,
    store: Annotated[list[Path] | None, typer.Option(help="Stores of that split, if they have moved.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights, for the model folder.")] = None,
    validation: Annotated[
        list[Path] | None, typer.Option(help="Folder of a validation, whose certificate goes along; repeatable.")
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(help="Ed25519 key that signs the model folder; made on first use (mode 0600).")
    ] = None,
) -> None:
    """Export a trained network, and compare the export with the outputs of the run.

    Example: heart2heart export runs/fixmatch --out exported --format folder --format onnx --name echo_views
    """
    from heart2heart.api.exported_models import export_model, read_export_parity

    formats = [item.value for item in form or [ExportFormat.PT2]]
    paths = export_model(
        run, out, formats=formats, name=name, split=split, stores=store or (), licence=licence,
        validations=validation or (), signing_key=sign,
    )  # fmt: skip
    for path in paths:
        print(path)
    for exported, sentence in {**read_export_parity(paths[-1]), **read_export_parity(out)}.items():
        print(f"{exported}: {sentence}")


def sweep(
    config: Annotated[Path, typer.Argument(help="YAML file, or a packaged name, shared by every run.")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep; a stopped sweep continues.")],
    grid: Annotated[list[str], typer.Option(help="Key and its values, such as optimiser.lr=0.01,0.03; repeatable.")],
    override: Annotated[list[str] | None, typer.Argument(help="Overrides such as steps=2000.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of each point of the grid, such as 0,1,2.")] = "0",
    keep: Annotated[int, typer.Option(min=2, help="Of this many points, one continues from a rung to the next.")] = 3,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store; repeatable. Overrides data.stores.")] = None,
    split: Annotated[Path | None, typer.Option(help="Certified split. Overrides data.split.")] = None,
) -> None:
    """Tune by successive halving over a grid and seeds; only source validation frames select.

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
