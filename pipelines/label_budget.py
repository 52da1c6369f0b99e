"""Accuracy by labels spent: labeling replayed by every method of the queue, on real images and SYNTHETIC hospitals.

    python -m pipelines.label_budget --data /usr/share/datasets/fashion-mnist --out label_budget_output

The views of the clips are known, and revealed only when a method selects the clip. Every round is one line of
`results.jsonl`; a stopped study continues with the missing ones.
"""

from __future__ import annotations

import time
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.active_learning.strategies import STRATEGIES, get_strategy
from heart2heart.cli import yield_cores
from heart2heart.errors import ConfigError
from heart2heart.store.frame_store import FrameStores
from heart2heart.utils import write_text
from pipelines.command_line import run
from pipelines.label_budget_data import LabeledClips, draw_parts, open_fashion_mnist, open_hospitals
from pipelines.label_budget_report import plot, tables
from pipelines.label_budget_round import Replay, ReplayBudget, ReplayPlan, ReplayRound
from pipelines.mismatch_variants import parse_variant
from pipelines.study_engine import ResultsFile, run_study
from pipelines.study_plan import cost_text, job_costs

DATA = ("fashion", "hospitals")
LABELS_ONLY = "labels_only"


def replay_plans(
    data: list[str], methods: list[str], ways: list[str], with_pool: list[str], seeds: int
) -> list[ReplayPlan]:
    """Return every replay, seed by seed, so that a study that is stopped is balanced."""
    plans = []
    for seed, name in product(range(seeds), data):
        plans += [ReplayPlan(name, seed, LABELS_ONLY, by) for by in methods]
        plans += [ReplayPlan(name, seed, way, by) for way in ways for by in with_pool]
    return plans


def main(
    data: Annotated[Path, typer.Option(help="Folder of Fashion-MNIST's files.")],
    out: Annotated[Path, typer.Option(help="Folder for stores, runs and results.")] = Path("label_budget_output"),
    on: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(DATA)}; repeatable. Both by default.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Methods of the queue; repeatable. All by default.")] = None,
    way: Annotated[
        list[str] | None, typer.Option(help="Ways that learn from the rest of the pool. Fix-A-Step by default.")
    ] = None,
    with_pool: Annotated[
        list[str] | None, typer.Option(help="Methods replayed by these ways too. random and margin by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, of data, training and choosing alike.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Trainings of each replay.")] = 4,
    first: Annotated[
        int,
        typer.Option(min=1, help="Clips asked before the first training, one of every class and the rest at random."),
    ] = 40,
    more: Annotated[int, typer.Option(min=1, help="Clips asked in each later round.")] = 40,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of each training.")] = 150,
    images: Annotated[int, typer.Option(min=1, help="Images in Fashion-MNIST's pool.")] = 3000,
    validation: Annotated[int, typer.Option(min=1, help="Validation images a class.")] = 20,
    shrink: Annotated[int, typer.Option(min=1, help="Side of the blocks of pixels averaged into one.")] = 2,
    size: Annotated[int, typer.Option(min=8, help="Side of the synthetic hospitals' frames, pixels.")] = 24,
    scale: Annotated[float, typer.Option(help="Synthetic patients, relative to the demo's.")] = 1.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that simulate and ingest.")] = 2,
    only_plan: Annotated[bool, typer.Option("--plan", help="Print the cost by finished rounds, and stop.")] = False,
) -> None:
    """Run the missing replays of the study, then write `results.md` and `results.png`."""
    import torch

    torch.set_num_threads(1)
    names, methods, ways = on or list(DATA), by or list(STRATEGIES), way or ["fixmatch+fix_a_step"]
    for name in (*methods, *(with_pool or [])):
        get_strategy(name)
    for name in ways:
        parse_variant(name)
    if unknown := sorted(set(names) - set(DATA)):
        raise ConfigError(f"no data set is called {unknown[0]!r}", where="--on", remedy=f"Choose {', '.join(DATA)}")
    effort = ReplayBudget(first, more, rounds, steps)
    todo = replay_plans(names, methods, ways, with_pool or ["random", "margin"], seeds)
    jobs = [ReplayRound(plan, each) for plan in todo for each in range(rounds)]
    results = out / "results.jsonl"
    if only_plan:
        known = ResultsFile(results, ReplayRound.key).lines(jobs)
        print(cost_text(job_costs([f"{job.plan.data}, {job.plan.way}" for job in jobs], known), 1))
        return
    started = time.monotonic()
    archives: dict[str, LabeledClips] = {}
    if "fashion" in names:
        archives["fashion"] = open_fashion_mnist(data, out, shrink)
    if "hospitals" in names:
        archives["hospitals"] = open_hospitals(out, scale, size, workers)

    @cache
    def replay(plan: ReplayPlan) -> Replay:
        archive = archives[plan.data]
        part = draw_parts(archive, plan.seed, FrameStores.open(archive.roots), images, validation)
        return Replay(archive, part, plan, effort, out)

    # In one process, since the rounds of a replay follow each other and replays with the same clips share a run.
    lines = run_study(
        jobs, lambda job: replay(job.plan).play(job.round), key=ReplayRound.key, results=results,
        title="replay labeling",
        describe=lambda line: f"{line['by']}: {100 * line['balanced_accuracy']:.1f} from {line['asked']} labels",
    )  # fmt: skip
    write_text(out / "results.md", tables(lines) + "\n")
    plot(lines, out / "results.png")
    print(f"{tables(lines)}\n{len(lines)} rounds in {results}; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    yield_cores()
    run(main)
