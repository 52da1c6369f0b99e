"""Fixed perturbations: identity at level 0, growing with the level, repeatable, and nothing else accepted."""

from __future__ import annotations

import pytest
import torch

from heart2heart.errors import ConfigError
from heart2heart.training.augment.acoustic import ACOUSTIC_OPERATIONS
from heart2heart.training.augment.perturbation import PERTURBATIONS, perturb
from tests.training.augment.acoustic_frames import fans


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_perturb_grows_from_the_identity(kind: str) -> None:
    frames = fans(8)
    assert torch.equal(perturb(kind, 0, frames), frames)
    changes = [(perturb(kind, level, frames, seed=1).float() - frames).abs().mean() for level in (0.02, 0.3, 1.0)]
    assert changes[0] < 2.5
    assert changes[0] < changes[1] < changes[2]
    assert changes[2] > 0.2


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_perturb_is_repeatable_and_differs_by_seed(kind: str) -> None:
    frames = fans(32)
    first, again, other = (perturb(kind, 0.7, frames, seed=seed) for seed in (4, 4, 5))
    assert first.dtype == torch.uint8
    assert first.shape == frames.shape
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (kind == "black_level")  # which has no sign and no position


def test_perturb_takes_both_directions() -> None:
    frames = fans(32)
    mean = perturb("gain", 1.0, frames, seed=0).float().mean((1, 2)) - frames.float().mean((1, 2))
    assert 8 <= int((mean > 0).sum()) <= 24
    again = perturb("gain", 0.5, frames, seed=0).float().mean((1, 2)) - frames.float().mean((1, 2))
    assert torch.equal(mean > 0, again > 0)


def test_perturb_at_level_1_is_the_end_of_the_range() -> None:
    flat = torch.full((4, 48, 48), 100, dtype=torch.uint8)
    for kind, ends in (("gain", (100 - 42.5, 100 + 42.5)), ("brightness", (100 / 1.5, 150))):
        levels = perturb(kind, 1.0, flat)
        assert (int(levels.min()), int(levels.max())) == pytest.approx(ends, abs=0.6)


def test_perturbations_state_unit_and_range() -> None:
    assert tuple(PERTURBATIONS) == ACOUSTIC_OPERATIONS
    assert (PERTURBATIONS["gain"].unit, PERTURBATIONS["gain"].highest, PERTURBATIONS["gain"].signed) == ("dB", 10, True)
    assert PERTURBATIONS["gain"].value(0.5) == 5
    assert PERTURBATIONS["gamma"].value(0.5) == pytest.approx(2.2**0.5)
    assert [PERTURBATIONS[name].signed for name in ("shadow", "haze", "rotation")] == [False, False, True]


def test_perturb_accepts_no_frames() -> None:
    assert perturb("haze", 0.5, torch.zeros(0, 32, 32, dtype=torch.uint8)).shape == (0, 32, 32)


@pytest.mark.parametrize(
    ("kind", "level", "message"),
    [("swirl", 0.5, "no perturbation 'swirl'.*gain"), ("gain", 1.1, "level of gain is 1.1"), ("gain", -0.1, "-0.1"),
     ("gain", float("nan"), "nan")],
)  # fmt: skip
def test_perturb_refuses(kind: str, level: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        perturb(kind, level, fans(1))
