"""Verbs of validation: a frozen model, or a table of predictions, at any hospital with labels; counts of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import FlagsOption
from heart2heart.cli.evaluation import MarginOption, NoPicturesOption, NoPseudonymsOption, ReleaseOption


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("validate")(validate)
    app.command("pool")(pool)
    app.command("federate")(federate)


def validate(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Folder of a run or of a MONAI bundle, exported file (.pt2, .onnx), or table of the predictions of "
            "any model (.csv, .parquet); several are compared with the first. With --check also the folder of a "
            "validation.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for predictions.parquet, metrics.json and certificate.json.")
    ] = None,
    store: Annotated[list[Path] | None, typer.Option(help="Frame store of the hospitals; repeatable.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label store (SQLite).")] = None,
    site: Annotated[list[str] | None, typer.Option(help="Hospital; repeatable. Default: all of the stores.")] = None,
    split: Annotated[
        Path | None, typer.Option(help="Training split. Default: the one that the run names, where it is at hand.")
    ] = None,
    train_store: Annotated[
        list[Path] | None,
        typer.Option(help="Frame store of the training split; repeatable. Default: those that the run names."),
    ] = None,
    leave_out_seen: Annotated[
        bool, typer.Option("--leave-out-seen", help="Leave out every patient whom the model has seen.")
    ] = False,
    task: Annotated[str, typer.Option(help="What the classes are, such as view, severity or pneumonia.")] = "view",
    name: Annotated[str | None, typer.Option(help="Name of the model of a table, for readers.")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="The cases of a table are simulated.")] = False,
    rule: Annotated[str, typer.Option(help="How a clip's events become one label.")] = "latest",
    check: Annotated[
        bool, typer.Option("--check", help="Check a table, or verify the certificate of a folder; write nothing.")
    ] = False,
    checked_model: Annotated[
        Path | None, typer.Option("--model", help="With --check: the model, or the table, that was validated.")
    ] = None,
    template: Annotated[Path | None, typer.Option(help="Write a table to fill in, as CSV, and stop.")] = None,
    classes: Annotated[str, typer.Option(help="With --template: names of the classes.")] = "normal,abnormal",
    replicates: Annotated[int, typer.Option(min=100, help="Bootstrap replicates.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    bca: Annotated[bool, typer.Option("--bca", help="BCa intervals instead of percentile intervals.")] = False,
    margin: MarginOption = None,
    flags: FlagsOption = None,
    no_pictures: NoPicturesOption = False,
    no_pseudonyms: NoPseudonymsOption = False,
    release: ReleaseOption = None,
) -> None:
    """Score a frozen model at any hospital with labels, now or later, with a certificate of its own.

    The hospital need not be in the training split, and the model may be of another program.

    Example: heart2heart validate runs/fixmatch --store store_e --labels labels.db --out validation
    """
    from heart2heart.api.evaluation import summary_table
    from heart2heart.api.validation import validate
    from heart2heart.errors import ConfigError
    from heart2heart.progress import progress_bar

    if template is not None:
        from heart2heart.api.validation_tables import write_prediction_template

        print(write_prediction_template(template, classes.split(",")))
        return
    if not models:
        remedy = "Name a run, an exported file or a table; a template is written with --template FILE"
        raise ConfigError("no model to validate", remedy=remedy)
    if check:
        if len(models) > 1:
            raise ConfigError("--check takes one table or folder", remedy="Check them one at a time")
        _check(models[0], checked_model, store or (), split, train_store or ())
        return
    if out is None:
        raise ConfigError("no folder for the scores", remedy="Name it with --out; --check writes nothing")
    with progress_bar(f"validate {', '.join(model.name for model in models)}", 100) as progress:
        metrics = validate(
            models, out, store=store, labels=labels, sites=site or (), split=split, train_stores=train_store or (),
            leave_out_seen=leave_out_seen, task=task, name=name, synthetic=synthetic, rule=rule,
            replicates=replicates, seed=seed, bca=bca, margin=margin, flags=flags, pictures=not no_pictures,
            pseudonyms=not no_pseudonyms, release=release, progress=progress,
        )  # fmt: skip
    print(summary_table(metrics))
    print(metrics.training_data_note)
    if release:
        print("\n".join(map(str, sorted(out.glob("counts_*.json")))))
        return
    print("\n".join(str(out / file) for file in ("predictions.parquet", "certificate.json", "metrics.json")))


def pool(
    files: Annotated[
        list[Path], typer.Argument(help="Files of `heart2heart validate --release counts`, one a hospital.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for report.html, pooled.json and metrics.json.")],
    accept: Annotated[
        Path | None, typer.Option(help="Criteria (`report --criteria-template`): decide about each hospital.")
    ] = None,
) -> None:
    """Score several hospitals from their released counts, and write the report; no hospital shows a row.

    Example: heart2heart pool counts_A.json counts_E.json --out pooled
    """
    from heart2heart.api.release import pool

    report = pool(files, out, accept=accept)
    print(report.table)
    print(report.pooled.note)
    if report.decision:
        print(report.decisions)
    names = ("report.html", "pooled.json", "metrics.json", *(("decision.json", "decision.pdf") if accept else ()))
    print("\n".join(str(out / file) for file in names))


def federate(
    out: Annotated[Path, typer.Option(help="New folder of the pooled report; of a job, a path on the server.")],
    job: Annotated[Path | None, typer.Option(help="New folder for a job of NVIDIA FLARE.")] = None,
    sites: Annotated[int, typer.Option(min=1, help="With --job: sites that must answer.")] = 2,
    simulate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SETTINGS", help="Run the round here; repeatable, one YAML file a site."),
    ] = None,
) -> None:
    """Validate in one round at several hospitals: each releases its counts, the server pools them.

    Example: heart2heart federate --simulate north=north.yaml --simulate east=east.yaml --out pooled
    """
    from heart2heart.api.federation import parse_sites, simulate_federation, write_federated_job
    from heart2heart.errors import ConfigError

    if (job is None) == (not simulate):
        remedy = "Write a job with --job FOLDER, or try the round here with --simulate NAME=SETTINGS"
        raise ConfigError("one of --job and --simulate is needed", remedy=remedy)
    if job is not None:
        print(write_federated_job(job, sites=sites, out=str(out)))
        return
    print(simulate_federation(parse_sites(simulate or ()), out))


def _check(
    path: Path, model: Path | None, stores: Sequence[Path], split: Path | None, train_stores: Sequence[Path]
) -> None:
    """Print what a check of a table, or of the folder of a validation, found."""
    from heart2heart.cli.output import text_table

    if path.is_dir():
        from heart2heart.api.validation_check import check_validation

        rows = check_validation(path, model=model, store=stores or None, split=split, train_stores=train_stores)
        print(text_table(("check", "status", "detail", "source"), rows))
        print("the certificate is valid")
        return
    from heart2heart.api.validation_tables import check_prediction_table

    table = check_prediction_table(path)
    table.require_valid()
    for warning in table.warnings:
        print(f"warning: {warning}")
    print(f"{len(table)} cases at {', '.join(table.sites)}, classes {', '.join(table.classes)}: no fault")
