"""Verbs of labeling: curate, raters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import LabelsOption

RatersOption = Annotated[Path, typer.Option("--raters", help="File of raters (mode 0600).")]

raters = typer.Typer(help="Say who may label on a page that others can reach.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("curate")(curate)
    app.add_typer(raters, name="raters")


def curate(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Frame stores with the clips.")],
    labels: LabelsOption,
    predictions: Annotated[
        Path | None, typer.Option(help="predictions.parquet, for the grid and for --suggest.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Which run of the predictions, if there are several.")] = None,
    queue: Annotated[
        Path | None,
        typer.Option(help="Clips to ask for, in order (Parquet or CSV: clip, why, readings). All by default."),
    ] = None,
    double: Annotated[
        float | None,
        typer.Option(help="Share of clips that two raters read, blind to each other; kept in the book, 0.2 at first."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Chooses which clips are read twice; kept in the book, drawn at first.")
    ] = None,
    replan: Annotated[bool, typer.Option("--replan", help="Change the kept --double and --seed.")] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Show the model's view of most clips that are read once.")
    ] = False,
    mode: Annotated[list[str] | None, typer.Option(help="Modes to ask for. Default: b_mode, colour.")] = None,
    bind: Annotated[str, typer.Option(help="Address to listen at; beyond loopback, --raters is needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8080,
    name: Annotated[
        list[str] | None, typer.Option(help="Host name by which browsers call the page; repeat for several.")
    ] = None,
    raters: Annotated[Path | None, typer.Option(help="File of raters and tokens (mode 0600).")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Permit no encryption beyond loopback.")] = False,
) -> None:
    """Label clips in a browser, until Ctrl-C: read, read twice blind, decide disagreements, see progress.

    Example: heart2heart curate store --labels labels.db
    """
    import sys

    from heart2heart.api import PageInfo
    from heart2heart.api.annotation import annotate

    def ready(page: PageInfo) -> None:
        if page.unknown:
            missing = f"{page.unknown} of {page.queued} clips of the queue are in none of these stores"
            print(missing, file=sys.stderr)
        print(f"Label at {page.address}", file=sys.stderr)
        plan = f"--double {page.share:g} --seed {page.seed}"
        print(f"Read twice: {page.share:.0%} of the clips ({plan}, kept in the book)", file=sys.stderr, flush=True)

    annotate(
        stores, labels, predictions=predictions, run=run, queue=queue, modes=mode or (), ready=ready, bind=bind,
        port=port, names=tuple(name or ()), raters=raters, certificate=certificate, private_key=private_key,
        allow_http=allow_http, double=double, seed=seed, replan=replan, suggest=suggest,
    )  # fmt: skip


@raters.command("add")
def raters_add(
    name: Annotated[str, typer.Argument(help="Name to record in the label store.")],
    raters: RatersOption,
    adjudicator: Annotated[bool, typer.Option("--adjudicator", help="May decide disagreements.")] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the token is accepted.")] = 90,
) -> None:
    """Add a rater and print the token, once; the file keeps only its hash.

    Example: heart2heart raters add "Reader 1" --raters raters.json
    """
    from heart2heart.api.annotation import add_rater

    print(add_rater(raters, name, adjudicator=adjudicator, days=days))


@raters.command("remove")
def raters_remove(
    name: Annotated[str, typer.Argument(help="As it stands in the file.")],
    raters: RatersOption,
) -> None:
    """Refuse a rater's token from now on; the labels stay.

    Example: heart2heart raters remove "Reader 1" --raters raters.json
    """
    from heart2heart.api.annotation import remove_rater

    remove_rater(raters, name)


@raters.command("show")
def raters_show(raters: RatersOption) -> None:
    """List the raters and until when their tokens are accepted.

    Example: heart2heart raters show --raters raters.json
    """
    from heart2heart.api.annotation import read_raters
    from heart2heart.cli.output import text_table

    rows = [(r.name, "yes" if r.adjudicator else "no", r.expires.isoformat()) for r in read_raters(raters).raters]
    print(text_table(("rater", "adjudicator", "last day"), rows))
