"""What the Heart2Heart table costs in GPU hours: an estimate from operation counts, or from a measured rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.heart2heart_runs import BenchmarkRun

if TYPE_CHECKING:
    from heart2heart.training.config import TrainConfig

ROOFLINE_FRAMES = 24_000
"""Frames of 112 px that an H200 can train on in a second with the paper's network, by its roofline (bfloat16)."""
REACHED_SHARE = 0.25
"""Share of that limit which the estimate supposes is reached. An assumption: nothing was measured."""
PASSES: Mapping[str, float] = {"labels_only": 0, "pi_model": 4, "vat": 7, "fixmatch": 4}
"""Passes over the network an unlabeled frame costs; a forward pass is 1, one with its backward pass 3."""


def passes_per_step(config: TrainConfig) -> float:
    """Return the forward passes a step costs: a labeled frame 3, mixing two more for its guesses.

    The Pi-model and FixMatch look at one view without gradient (1) and learn from another (3); VAT looks at the clean
    frame (1), searches a direction (3) and learns from the perturbed frame (3).
    """
    guesses = 2 if config.fix_a_step.mixing else 0
    return config.batch.labeled * (3 + guesses) + config.batch.unlabeled * PASSES[config.method.name]


def gpu_hours(jobs: Sequence[BenchmarkRun], images_per_second: float | None = None) -> dict[str, float]:
    """Return the estimated GPU hours by run.

    Args:
        jobs: The runs.
        images_per_second: What FixMatch reaches at the paper's size, 64 + 320 frames a step, as its `metrics.jsonl`
            or `benchmarks.training` says it; None estimates.
    """
    rate = 3.0 * ROOFLINE_FRAMES * REACHED_SHARE  # passes a second
    if images_per_second is not None:
        rate = images_per_second * (64 * 3 + 320 * PASSES["fixmatch"]) / (64 + 320)
    hours = {}
    for job in jobs:
        config = job.config
        hours[job.name] = config.steps * passes_per_step(config) / rate / 3600
    return hours


def explain_estimate(images_per_second: float | None) -> str:
    """Say how the hours were computed."""
    if images_per_second is not None:
        return (
            f"from {images_per_second:g} images/s of FixMatch (64 + 320 frames a step); other methods in proportion to "
            "the passes over the network that a step costs"
        )
    return (
        f"an estimate, nothing was measured: passes over the network a step (a forward pass 1, with its backward pass "
        f"3) at {REACHED_SHARE:.0%} of what an H200 can do with this network by its roofline, "
        f"{ROOFLINE_FRAMES:,} trained frames of 112 px a second. --images-per-second takes a measured rate instead"
    )
