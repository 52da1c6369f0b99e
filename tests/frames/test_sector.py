"""The sector mask: the scan is kept, what stands beside it is not."""

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.frames.sector import bounding_box, sector_mask

HEIGHT, WIDTH = 240, 320
Y, X = np.indices((HEIGHT, WIDTH))
FAN = (np.abs(X - 160) < 0.7 * (Y - 20)) & (np.hypot(X - 160, Y - 20) < 200)


def clip(n: int, *, background: int = 0, seed: int = 0) -> npt.NDArray[np.uint8]:
    draw = np.random.default_rng(seed)
    frames = np.full((n, HEIGHT, WIDTH), background, np.uint8)
    for frame in frames:
        frame[FAN] = np.clip(draw.gamma(2.0, 30.0, int(FAN.sum())) + background + 12, 0, 255)
    frames[:, 6:14, 8:90:2] = 255  # a line of text
    frames[:, 100:220, 310:316] = 200  # a gray bar
    frames[:, 228:238] = 90  # a banner
    return frames


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("background", [0, 40])
def test_the_fan_is_found_and_its_surroundings_are_not(n: int, background: int) -> None:
    mask = sector_mask(clip(n, background=background))
    assert mask is not None
    assert (mask & FAN).sum() > 0.97 * FAN.sum()
    assert mask.sum() < 1.15 * FAN.sum()
    assert not mask[6:14, 8:90].any()
    assert not mask[100:220, 310:316].any()
    assert not mask[230:].any()


def test_dark_chambers_and_a_dark_half_stay_inside() -> None:
    frames = clip(8)
    hole = np.hypot(X - 160, Y - 130) < 35
    frames[:, hole] = 0
    mask = sector_mask(frames)
    assert mask is not None
    assert mask[hole].all()


@pytest.mark.parametrize("n", [1, 8])
def test_nothing_to_find(n: int) -> None:
    assert sector_mask(np.zeros((n, HEIGHT, WIDTH), np.uint8)) is None
    text = np.zeros((n, HEIGHT, WIDTH), np.uint8)
    text[:, 6:14, 8:90:2] = 255
    assert sector_mask(text) is None


def test_a_picture_that_fills_its_box_is_kept_whole() -> None:
    frames = np.random.default_rng(0).integers(30, 255, (6, 97, 131)).astype(np.uint8)
    mask = sector_mask(frames)
    assert mask is not None
    assert mask.shape == (97, 131)
    assert mask.mean() > 0.98


def test_tiny_pictures() -> None:
    for side in (1, 2, 5):
        assert sector_mask(np.zeros((3, side, side), np.uint8)) is None


def test_bounding_box_is_tight() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:7, 5:11] = True
    assert bounding_box(mask) == (5, 3, 11, 7)
