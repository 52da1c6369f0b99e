"""The verb that says what to label next: `heart2heart queue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("queue")(queue)


def queue(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Frame stores with the clips.")],
    budget: Annotated[int, typer.Option(min=1, help="Clips to pick.")],
    by: Annotated[str, typer.Option(help="Method; listed above.")],
    out: Annotated[Path, typer.Option(help="File to write, .parquet or .csv; `curate --queue` reads it.")],
    run: Annotated[Path | None, typer.Option(help="Finished run; only `random` does without.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Label store; clips read already are left out.")] = None,
    earlier: Annotated[Path | None, typer.Option(help="Run of the round before, for `tod`.")] = None,
    per_patient: Annotated[int | None, typer.Option(min=1, help="Most clips of one patient.")] = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="A second clip of a patient only when every patient has one.")
    ] = False,
    cost: Annotated[
        str, typer.Option(help="equal; time (seconds by view, from the label store); or a file of clip and cost.")
    ] = "equal",
    spend: Annotated[
        float | None, typer.Option(help="Most that the clips may cost together; --budget is a limit then.")
    ] = None,
    rare: Annotated[list[str] | None, typer.Option(help="View that `similar` looks for; repeatable.")] = None,
    mode: Annotated[list[str] | None, typer.Option(help="Modes to ask for. Default: b_mode, colour.")] = None,
    frames: Annotated[str, typer.Option(help="Frames of a clip to look at: all, every:N or even:K.")] = "even:8",
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn.")] = 0,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="Ask for clips of the same picture as well; by default for one of them.")
    ] = False,
) -> None:
    """Pick the clips that are worth labeling next, and say why.

    Methods, for --by:

    random: clips drawn at random.

    entropy: highest entropy of the predicted views.

    margin: smallest lead of the likeliest view over the second.

    least_confidence: lowest probability of the likeliest view.

    bald: most disagreement among networks thinned by dropout before the last layer.

    badge: long gradients of the last layer that differ from each other.

    core_set: clips far from all that is labeled or picked (k-center greedy).

    typiclust: the most typical clip of each group of like clips without a label.

    base: as many clips near the boundary of each view (BASE).

    similar: clips like those labeled with rare views (submodular mutual information).

    tod: largest change of the output between two moments of training (TOD).

    st_conal: most disagreement of the network with its running average (ST-CoNAL).

    gradient_norm: largest expected gradient of the last layer.

    poal: unsure clips that are of the kind labeled so far (Pareto fronts, POAL).

    vaal: clips that an adversary tells from the labeled ones (VAAL, on embeddings).

    Example: heart2heart queue store --run runs/fixmatch --budget 200 --by badge --out queue.parquet
    """
    from heart2heart.api import make_queue
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    result = make_queue(
        stores, out, budget=budget, by=by, run=run, labels=labels, earlier=earlier, per_patient=per_patient,
        spread=spread, cost=cost, spend=spend, rare=rare or (), modes=mode or (), frames=frames, seed=seed,
        repeats=repeats, stage=progress_bar,
    )  # fmt: skip
    columns = ("rank", "clip", "site", "why")
    first = result.table.slice(0, 10).to_pylist()
    print(text_table(columns, [[row[name] for name in columns] for row in first]))
    paid = "" if cost == "equal" else f", cost {sum(result.table['cost'].to_pylist()):.1f} in all"
    left = f"{len(result.table)} of {result.available} clips, of {result.patients} patients{paid}"
    print(f"{out}: {left}; {result.labeled} were read already")
