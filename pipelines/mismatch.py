"""When does Fix-A-Step help? The class-mismatch protocol on real images: Fashion-MNIST, or CIFAR-10 from disk.

    python -m pipelines.mismatch --data /usr/share/datasets/fashion-mnist --out mismatch_output
    python -m pipelines.mismatch --dataset cifar10 --data cifar-10-batches-bin --shrink 1 --steps 20000 --depth 28 \
        --widen 2 --blocks 3 --labeled 64 --unlabeled 448 --labels 50 --labels 400 --out mismatch_cifar10

Every run is one line of `results.jsonl`; a stopped study continues with the missing ones. Test images are read
once a run, with the weights that validation selected.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.errors import ConfigError
from heart2heart.progress import progress_bar
from heart2heart.utils import sha256_json, write_text
from pipelines.command_line import run
from pipelines.mismatch_report import plot, tables
from pipelines.mismatch_task import IMAGE_TASKS, ImageStore, MismatchSplit, build_split
from pipelines.mismatch_variants import MismatchRun, RunBudget, parse_variant, run_key, train_and_test, way_reads_pool
from pipelines.study_engine import Line, ResultsFile, run_study
from pipelines.study_plan import cost_text, job_costs

BASES = ("pi_model", "temporal_ensembling", "pseudo_label", "mean_teacher", "vat", "mixmatch", "fixmatch", "uda",
         "noisy_student", "atso", "self_meta_pseudo_labels")  # fmt: skip
REMEDIES = ("uasd", "ds3l", "openmatch", "mtcf")
RULES = ("running_mean", "per_layer", "pcgrad", "per_frame")
STUDY_VARIANTS = (
    "labels_only", "supervised_mixup", "supervised_strong", "labels_only+mixing",
    *(way for base in BASES for way in (base, f"{base}+fix_a_step")),
    *(f"{base}+{half}" for base in ("fixmatch", "mean_teacher") for half in ("mixing", "gradient")),
    *(f"fixmatch+{rule}" for rule in RULES), "mean_teacher+running_mean", "mixmatch+running_mean",
    "fixmatch+separate", "fixmatch+joint", "mean_teacher+separate", *REMEDIES,
)  # fmt: skip
"""The controls without a pool, every method, every method with Fix-A-Step, the halves alone, the other gradient rules
alone, other batch normalisation, the remedies."""


def study_runs(
    out: Path, dataset: str, levels: Sequence[int], labels: Sequence[int], seeds: Sequence[int], ways: Sequence[str],
    budget: RunBudget,
) -> list[MismatchRun]:  # fmt: skip
    """Return every job of the study, seed by seed, so that a study that is stopped is balanced.

    Without a pool the level of mismatch changes nothing: such a way runs at the first level alone.
    """
    jobs = []
    budget_digest = sha256_json(asdict(budget))[:8]
    for seed, count, way, level in product(seeds, labels, ways, levels):
        if level != levels[0] and not way_reads_pool(way):
            continue
        key = {"dataset": dataset, "level": level, "labels": count, "seed": seed, "way": way}
        split = out / "splits" / MismatchSplit(dataset, level, count, seed, 0).name
        jobs.append(
            MismatchRun(
                key, split, out / "store", out / "runs" / budget_digest / split.name / way.replace("+", "-"), budget
            )
        )
    return jobs


def main(
    data: Annotated[Path, typer.Option(help="Folder of the image set's files.")],
    out: Annotated[Path, typer.Option(help="Folder for store, splits, runs and results.")] = Path("mismatch_output"),
    dataset: Annotated[str, typer.Option(help=f"One of {', '.join(IMAGE_TASKS)}.")] = "fashion-mnist",
    level: Annotated[
        list[int] | None, typer.Option(help="Per cent of mismatch; repeatable. All five by default.")
    ] = None,
    labels: Annotated[list[int] | None, typer.Option(help="Labeled images a class; repeatable. 10 by default.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds, of data and training alike.", min=1)] = 3,
    way: Annotated[
        list[str] | None, typer.Option(help="Such as fixmatch+fix_a_step; repeatable. All by default.")
    ] = None,
    validation: Annotated[int, typer.Option(help="Validation images a class.", min=1)] = 50,
    shrink: Annotated[int, typer.Option(help="Side of the blocks of pixels averaged into one.", min=1)] = 2,
    steps: Annotated[int, typer.Option(help="Optimiser steps a run.", min=1)] = 400,
    labeled: Annotated[int, typer.Option(help="Labeled images a step.", min=1)] = 32,
    unlabeled: Annotated[int, typer.Option(help="Unlabeled images a step.", min=1)] = 64,
    depth: Annotated[int, typer.Option(help="Depth of the WideResNet.")] = 10,
    widen: Annotated[int, typer.Option(help="Width of the WideResNet.")] = 1,
    blocks: Annotated[int, typer.Option(help="Groups of the WideResNet.")] = 2,
    ema: Annotated[float, typer.Option(help="Decay of the averaged weights.")] = 0.98,
    workers: Annotated[int, typer.Option(help="Processes, each on one core; 1 on a GPU.", min=1)] = 2,
    plan: Annotated[bool, typer.Option("--plan", help="Print the cost by finished runs, and stop.")] = False,
) -> None:
    """Run the missing jobs of the study, then write `results.md` and `results.png`."""
    if dataset not in IMAGE_TASKS:
        raise ConfigError(f"no image set is called {dataset!r}", remedy=f"Choose {', '.join(IMAGE_TASKS)}")
    levels, counts, ways = level or [0, 25, 50, 75, 100], labels or [10], way or list(STUDY_VARIANTS)
    if unknown := sorted(set(levels) - set(IMAGE_TASKS[dataset].unlabeled)):
        raise ConfigError(f"no level of mismatch is {unknown[0]} %", remedy="Choose 0, 25, 50, 75 or 100")
    for each in ways:
        parse_variant(each)
    budget = RunBudget(steps, labeled, unlabeled, depth, widen, blocks, ema)
    jobs = study_runs(out, dataset, levels, counts, range(seeds), ways, budget)
    results = out / "results.jsonl"
    if plan:
        known = ResultsFile(results, run_key).lines(jobs)
        print(cost_text(job_costs([job.key["way"] for job in jobs], known), workers))
        return
    started = time.monotonic()
    with progress_bar(f"images of {IMAGE_TASKS[dataset].title}", 1) as progress:
        images = ImageStore.build(dataset, data, out / "store", shrink)
        progress.update(1)
    tasks = [MismatchSplit(dataset, *each, validation) for each in product(levels, counts, range(seeds))]
    with progress_bar("freeze and certify the splits", len(tasks)) as progress:
        for done_splits, task in enumerate(tasks, start=1):
            build_split(task, images, out / "splits" / task.name)
            progress.update(done_splits)
    before = sum(line is not None for line in ResultsFile(results, run_key).lines(jobs))
    lines = run_study(jobs, train_and_test, key=run_key, results=results, workers=workers, describe=describe)
    write_text(out / "results.md", tables(lines) + "\n")
    plot(lines, out / "results.png", f"{IMAGE_TASKS[dataset].title}, {counts[0]} labels a class")
    missing = len(jobs) - before
    print(f"{tables(lines)}\n{missing} runs in {time.monotonic() - started:.0f} s; {len(lines)} in {results}")


def describe(line: Line) -> str:
    """Return a few words about a finished run."""
    score = line["balanced_accuracy"]
    return f"{line['way']} at {line['level']} %: {'diverged' if score is None else f'{100 * score:.1f}'}"


if __name__ == "__main__":
    run(main)
