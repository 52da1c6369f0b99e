"""Verbs of labeling: queue, curate, raters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.cli.data import FlagsOption, LabelsOption
from heart2heart.cli.labels import ViewsOption

RatersOption = Annotated[Path, typer.Option("--raters", help="File of raters (mode 0600).")]

raters = typer.Typer(help="Manage the raters who may label on a page that others can reach.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("queue")(queue)
    app.command("curate")(curate)
    app.add_typer(raters, name="raters")


def queue(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Frame stores with the clips.")],
    budget: Annotated[int, typer.Option(min=1, help="Clips to pick.")],
    by: Annotated[str, typer.Option(help="Method, listed above.")],
    out: Annotated[Path, typer.Option(help="File to write, .parquet or .csv; `curate --queue` reads it.")],
    run: Annotated[
        Path | None, typer.Option(help="Finished run; every method except `random` and `audit` needs one.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Label store; labeled clips are left out.")] = None,
    earlier: Annotated[Path | None, typer.Option(help="Run of the previous round, for `tod`.")] = None,
    per_patient: Annotated[int | None, typer.Option(min=1, help="Most clips of one patient.")] = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="Pick a second clip of a patient only when every patient has one.")
    ] = False,
    cost: Annotated[
        str, typer.Option(help="equal; time (seconds by view, from the label store); or a file of clip and cost.")
    ] = "equal",
    spend: Annotated[
        float | None, typer.Option(help="Largest total cost of the clips; --budget is then an upper limit.")
    ] = None,
    rare: Annotated[list[str] | None, typer.Option(help="View that `similar` looks for; repeatable.")] = None,
    mode: Annotated[
        list[str] | None, typer.Option(help="Modes of the clips; repeatable. Default: b_mode, colour.")
    ] = None,
    flags: FlagsOption = None,
    frames: Annotated[str, typer.Option(help="Frames of a clip to predict: all, every:N or even:K.")] = "even:8",
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="Allow several clips of the same picture; by default one.")
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Also write the run's probabilities of all clips without a label, .parquet or .csv."),
    ] = None,
) -> None:
    """Pick the clips that are worth labeling next, each with its reason.

    Methods, for --by:

    random: clips drawn at random.

    entropy: highest entropy of the predicted views.

    margin: smallest lead of the most likely view over the second.

    least_confidence: lowest probability of the most likely view.

    bald: most disagreement under dropout before the last layer.

    badge: long gradients of the last layer that differ from each other.

    core_set: clips far from all labeled or selected clips (k-center greedy).

    typiclust: the most typical clip of each cluster without a label.

    base: equally many clips near the boundary of each view (BASE).

    similar: clips similar to those labeled with rare views (submodular mutual information).

    tod: largest change of the output between two moments of training (TOD).

    st_conal: most disagreement of the network with its running average (ST-CoNAL).

    gradient_norm: largest expected gradient of the last layer.

    poal: uncertain clips similar to the labeled ones (Pareto fronts, POAL).

    vaal: clips that an adversary distinguishes from the labeled ones (VAAL, on embeddings).

    audit: one clip of each of many random patients, for `audit`.

    audit_by_class: equally many random clips of every predicted view, for `audit`.

    Example: heart2heart queue store --run runs/fixmatch --budget 200 --by badge --out queue.parquet
    """
    from heart2heart.api.queue import make_queue
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    result = make_queue(
        stores, out, budget=budget, by=by, run=run, labels=labels, earlier=earlier, per_patient=per_patient,
        spread=spread, cost=cost, spend=spend, rare=rare or (), modes=mode or (), flags=flags, frames=frames, seed=seed,
        repeats=repeats, predictions=predictions, stage=progress_bar,
    )  # fmt: skip
    columns = ("rank", "clip", "site", "why")
    first = result.table.slice(0, 10).to_pylist()
    print(text_table(columns, [[row[name] for name in columns] for row in first]))
    total_cost = "" if cost == "equal" else f", cost {sum(result.table['cost'].to_pylist()):.1f} in all"
    counts = f"{len(result.table)} of {result.available} clips, of {result.patients} patients{total_cost}"
    print(f"{out}: {counts}; {result.labeled} were labeled already")


def curate(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Frame stores with the clips.")],
    labels: LabelsOption,
    predictions: Annotated[
        Path | None, typer.Option(help="predictions.parquet, for the grid and for --suggest.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Run of the predictions, if they hold several.")] = None,
    queue: Annotated[
        Path | None,
        typer.Option(help="Clips to label, in order (Parquet or CSV: clip, why, readings). Default: all."),
    ] = None,
    double: Annotated[
        float | None,
        typer.Option(
            help="Share of clips that two raters read, blind to each other; stored with the labels. Default: 0.2"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed that chooses the clips read twice; stored with the labels. Default: random")
    ] = None,
    replan: Annotated[bool, typer.Option("--replan", help="Change the stored --double and --seed.")] = False,
    gold: Annotated[
        float, typer.Option(help="Share of each rater's readings that are of gold clips; see `labels gold`.")
    ] = 0.0,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Suggest the model's view for most clips that are read once.")
    ] = False,
    mode: Annotated[
        list[str] | None, typer.Option(help="Modes of the clips; repeatable. Default: b_mode, colour.")
    ] = None,
    flags: FlagsOption = None,
    views: ViewsOption = None,
    bind: Annotated[str, typer.Option(help="Address to listen at; beyond loopback, give --raters.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8080,
    name: Annotated[list[str] | None, typer.Option(help="Host name in the address of the page; repeatable.")] = None,
    raters: Annotated[Path | None, typer.Option(help="File of raters and tokens (mode 0600).")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Allow unencrypted access beyond loopback.")] = False,
) -> None:
    """Serve the page where clips are labeled, until Ctrl-C: read, read twice blind, decide disagreements.

    Example: heart2heart curate store --labels labels.db
    """
    import sys

    from heart2heart.api.annotation import PageInfo, annotate

    def ready(page: PageInfo) -> None:
        if page.unknown:
            missing = f"{page.unknown} of {page.queued} clips of the queue are in none of these stores"
            print(missing, file=sys.stderr)
        if page.waiting:
            count = "1 clip is" if page.waiting == 1 else f"{page.waiting} clips are"
            print(f"{count} not shown, for suspected text: run heart2heart review STORE", file=sys.stderr)
        if page.flagged:
            count = "1 clip is" if page.flagged == 1 else f"{page.flagged} clips are"
            print(f"{count} not shown, by the flags rule: run heart2heart store flags STORE", file=sys.stderr)
        if page.replaced_lock:
            left_by = f"{page.replaced_lock}, which ended without giving it back"
            print(f"A stale lock of this label store was replaced: {left_by}", file=sys.stderr)
        print(f"Label at {page.address}", file=sys.stderr)
        plan = f"--double {page.share:g} --seed {page.seed}"
        print(
            f"Read twice: {page.share:.0%} of the clips ({plan}, stored with the labels)", file=sys.stderr, flush=True
        )

    annotate(
        stores, labels, predictions=predictions, run=run, queue=queue, modes=mode or (), flags=flags, views=views,
        ready=ready, bind=bind, port=port, names=tuple(name or ()), raters=raters,
        certificate=certificate, private_key=private_key, allow_http=allow_http, double=double, seed=seed,
        replan=replan, gold=gold, suggest=suggest,
    )  # fmt: skip


@raters.command("add")
def raters_add(
    name: Annotated[str, typer.Argument(help="Name to record in the label store.")],
    raters: RatersOption,
    adjudicator: Annotated[bool, typer.Option("--adjudicator", help="May decide disagreements.")] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days that the token is accepted.")] = 90,
) -> None:
    """Add a rater and print the token, once; the file keeps only its hash.

    Example: heart2heart raters add "Reader 1" --raters raters.json
    """
    from heart2heart.api.annotation import add_rater

    print(add_rater(raters, name, adjudicator=adjudicator, days=days))


@raters.command("remove")
def raters_remove(
    name: Annotated[str, typer.Argument(help="Name of the rater in the file.")],
    raters: RatersOption,
) -> None:
    """Remove a rater from the file: the token is refused from now on, and the labels stay.

    Example: heart2heart raters remove "Reader 1" --raters raters.json
    """
    from heart2heart.api.annotation import remove_rater

    remove_rater(raters, name)


@raters.command("show")
def raters_show(raters: RatersOption) -> None:
    """List the raters and the last day of their tokens.

    Example: heart2heart raters show --raters raters.json
    """
    from heart2heart.api.annotation import read_raters
    from heart2heart.cli.output import text_table

    rows = [(r.name, "yes" if r.adjudicator else "no", r.expires.isoformat()) for r in read_raters(raters).raters]
    print(text_table(("rater", "adjudicator", "last day"), rows))
