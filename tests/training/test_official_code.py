"""The numbers that docs/official-code.md gives are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from heart2heart.training.augment.policy import Policy, cutout_side
from heart2heart.training.losses import inverse_frequency, labeled_criterion
from heart2heart.training.optimiser import ScheduleConfig, learning_rate

PAGE = (Path(__file__).parents[2] / "docs" / "official-code.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("counts", [(632, 239, 405, 285), (650, 223, 462, 325), (572, 199, 379, 277)])
def test_labeled_criterion_has_the_factor_of_the_official_code(counts: tuple[int, ...]) -> None:
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    weights, targets = inverse_frequency(labels, 4), torch.eye(4)[labels]
    logits = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    apart, official = (
        float(labeled_criterion(weights, scale, mixing=True)(logits, targets))
        for scale in ("sum_of_weights", "official")
    )
    assert f"| {' / '.join(map(str, counts))} | {official / apart:.3f} | {apart / official:.2f}-fold |" in PAGE


def test_learning_rate_ends_and_averages_as_in_the_official_code() -> None:
    steps = 24_000
    released, own = ScheduleConfig(cycle=1_048_576), ScheduleConfig()
    mean = sum(learning_rate(own, 1.0, step, steps) for step in range(steps)) / steps
    for value, digits in (
        (learning_rate(released, 1.0, steps, steps), 4),
        (learning_rate(own, 1.0, steps, steps), 3),
        (mean, 3),
    ):
        assert f"{value:.{digits}f}" in PAGE


def test_cutout_side_is_that_of_the_official_code() -> None:
    share = 0.142857
    assert f"`{share}` at 112 px" in PAGE
    side = cutout_side(Policy(cutout=share), 112)
    assert side == 16
    assert f"{(side / 112) ** 2:.1%}".replace("%", " %") in PAGE
