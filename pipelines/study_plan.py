"""What a study costs and what it can show, before it is run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.study_statistics import detectable_effect, seeds_needed

if TYPE_CHECKING:
    from heart2heart.training.config import TrainConfig

Line = Mapping[str, Any]
START_SECONDS = 4.0
"""Seconds that a run needs beside its steps and predictions: data, network, records. Measured on one core."""


@dataclass(frozen=True)
class JobCost:
    """The cost of one kind of job.

    Attributes:
        kind: Such as the way.
        jobs: Number of jobs.
        missing: Number without a line.
        seconds: Processor seconds of one; None if nothing is known.
        source: Where the seconds are from.
    """

    kind: str
    jobs: int
    missing: int
    seconds: float | None
    source: str


def job_costs(
    kinds: Sequence[str], lines: Sequence[Line | None], calibrate: Callable[[int], float] | None = None
) -> list[JobCost]:
    """Return the cost of every kind of job: the median of its finished lines, else a calibration.

    Args:
        kinds: Kind of each job.
        lines: Line of each job; None if it is not finished.
        calibrate: Returns the processor seconds of the job at a position; None leaves them unknown.
    """
    costs = []
    for kind in dict.fromkeys(kinds):
        own = [index for index, name in enumerate(kinds) if name == kind]
        finished = [line for index in own if (line := lines[index]) is not None]
        measured = [line.get("cpu_seconds", line.get("seconds")) for line in finished]
        known = [float(value) for value in measured if value is not None]
        if known:
            seconds, source = statistics.median(known), f"median of {len(known)} finished"
        elif calibrate is not None:
            seconds, source = calibrate(own[0]), "calibrated"
        else:
            seconds, source = None, "unknown"
        costs.append(JobCost(kind, len(own), len(own) - len(finished), seconds, source))
    return costs


def cost_text(costs: Sequence[JobCost], workers: int, now: datetime | None = None) -> str:
    """Return the table of costs, the core-hours that are left and when the study ends.

    Args:
        costs: Cost of each kind of job.
        workers: Processes, each with a core of its own.
        now: The present time; the clock's by default.
    """
    out = ["| kind | jobs | to do | seconds each | core-hours to do | source |", "|---|---|---|---|---|---|"]
    for cost in costs:
        each = "" if cost.seconds is None else f"{cost.seconds:.0f}"
        hours = "" if cost.seconds is None else f"{cost.missing * cost.seconds / 3600:.2f}"
        out.append(f"| {cost.kind} | {cost.jobs} | {cost.missing} | {each} | {hours} | {cost.source} |")
    missing = sum(cost.missing for cost in costs)
    left = sum(cost.missing * cost.seconds for cost in costs if cost.seconds is not None)
    out += ["", f"{sum(cost.jobs for cost in costs)} jobs, {missing} to do: {left / 3600:.1f} core-hours"]
    if unknown := [cost.kind for cost in costs if cost.seconds is None and cost.missing]:
        out[-1] += f", without {', '.join(unknown)}"
    end = (now or datetime.now()) + timedelta(seconds=left / workers)
    out[-1] += f"; with {workers} cores of its own the study ends at {end:%Y-%m-%d %H:%M}."
    return "\n".join(out)


def pooled_deviation(differences: Sequence[Mapping[int, float]]) -> tuple[float, int] | None:
    """Return the standard deviation of paired differences within their comparisons, and its degrees of freedom.

    Args:
        differences: Seed -> difference, for each comparison; those with one seed tell nothing.

    Returns:
        None without a comparison of two seeds.

    Examples:
        >>> pooled_deviation([{0: 1.0, 1: 3.0}, {0: 5.0, 1: 5.0}, {0: 9.0}])
        (1.0, 2)
    """
    groups = [np.array(list(each.values())) for each in differences if len(each) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return None
    return math.sqrt(sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom), freedom


def power_text(deviation: float, source: str, seeds: int, tests: int) -> str:
    """Return what the study can show: the smallest effect, and the seeds that effects need.

    Args:
        deviation: Standard deviation of a paired difference, points.
        source: Where it is from.
        seeds: Seeds of the study.
        tests: Comparisons of the study, which share one error rate.
    """
    shown = "not estimable from one seed"
    if seeds > 1:
        alone, family = detectable_effect(deviation, seeds), detectable_effect(deviation, seeds, tests=tests)
        shown = f"{alone:.1f} points in one comparison, {family:.1f} in a family of {tests}"
    out = [
        f"Paired standard deviation {deviation:.2f} points ({source}). With {seeds} seeds the effect that is shown",
        f"with a chance of 80 % (two-sided, 5 %, Bonferroni as the bound of Holm): {shown}.", "",
        f"| effect, points | seeds for one comparison | seeds in a family of {tests} |", "|---|---|---|",
    ]  # fmt: skip
    for effect in (1.0, 2.0, 3.0, 5.0):
        needed = [seeds_needed(effect, deviation, tests=count) for count in (1, tests)]
        out.append(f"| {effect:g} | {' | '.join('over 10,000' if n is None else str(n) for n in needed)} |")
    return "\n".join(out)


def calibrate_config(config: TrainConfig, *, size: int, classes: int, pool: int, frames: int, steps: int = 6) -> float:
    """Return the processor seconds that a run costs, from a few steps on noise and a few predictions.

    Args:
        config: The run.
        size: Side of a frame, pixels.
        classes: Number of classes.
        pool: Frames in the pool.
        frames: Frames that the whole run predicts: validations, test and sample of the pool.
        steps: Steps to time, after two to warm up.
    """
    import torch

    from heart2heart.training.model_access import place_network
    from heart2heart.training.networks.build import build_network
    from heart2heart.training.train_step import Trainer

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator(device).manual_seed(0)
    options = config.network.options
    network = place_network(build_network(config.network.name, classes=classes, size=size, **options), device)
    trainer = Trainer(network, config, classes=classes, pool_size=pool, weights=None, generator=generator)

    def pixels(count: int) -> torch.Tensor:
        shape = (count, size, size)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8, device=device)

    targets = torch.eye(classes, device=device)[torch.arange(config.batch.labeled, device=device) % classes]
    count = config.batch.unlabeled if trainer.needs_pool else 0
    positions = torch.arange(count, device=device) % max(1, pool)

    def step(step_index: int) -> None:
        batch = trainer.augment(pixels(config.batch.labeled), targets, pixels(count), positions, generator)
        trainer.step(batch, step_index)

    def timed(call: Callable[[int], Any], times: int) -> float:
        call(0), call(1)
        started = time.perf_counter() if device.type == "cuda" else time.process_time()
        for index in range(2, times + 2):
            call(index)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return ((time.perf_counter() if device.type == "cuda" else time.process_time()) - started) / times

    each = timed(step, steps)
    batch = torch.randn(256, 1, size, size, generator=generator, device=device)
    with torch.no_grad():
        forward = timed(lambda _: trainer.ema.network(batch), 2) / 256
    return float(START_SECONDS + config.steps * each + frames * forward)
