from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.store.appearance import LIT, lit_histogram, measure_appearance

SIDE = 160
Y, X = np.mgrid[0:SIDE, 0:SIDE]
HALF_ANGLE = 40.0
SECTOR = (np.hypot(X - 80, Y) < 150) & (np.abs(np.degrees(np.arctan2(X - 80, Y + 1e-9))) < HALF_ANGLE) & (Y > 8)


def clip(width: float = 1.0, gain: float = 1.0, frames: int = 6) -> npt.NDArray[np.uint8]:
    """Rayleigh speckle in a sector of 80 degrees; `width` widens it, `gain` brightens it."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    parts = [[gaussian_filter(rng.standard_normal((SIDE, SIDE)), width) for _ in range(2)] for _ in range(frames)]
    envelope = np.stack([np.hypot(*part) / np.std(part) for part in parts])
    frames_of_clip: npt.NDArray[np.uint8] = (np.clip(60.0 * gain * envelope, 0, 255) * SECTOR).astype(np.uint8)
    return frames_of_clip


def test_measure_appearance_finds_the_angle_the_aspect_and_the_place_of_the_sector() -> None:
    measured = measure_appearance(clip())
    assert measured is not None
    assert measured.sector_angle == pytest.approx(2 * HALF_ANGLE, abs=6)
    assert measured.apex_x == pytest.approx(0.5, abs=0.03)
    assert measured.sector_share == pytest.approx(SECTOR.mean(), rel=0.1)


def test_measure_appearance_measures_wider_speckle_as_wider() -> None:
    narrow, wide = measure_appearance(clip(1.0)), measure_appearance(clip(2.0))
    assert narrow is not None
    assert wide is not None
    assert 1.4 < wide.speckle_lateral / narrow.speckle_lateral < 2.6
    assert 1.4 < wide.speckle_axial / narrow.speckle_axial < 2.6


def test_measure_appearance_follows_the_gain_and_leaves_the_depth_profile() -> None:
    dark, bright = measure_appearance(clip(gain=0.6)), measure_appearance(clip(gain=1.0))
    assert dark is not None
    assert bright is not None
    assert dark.median < 0.75 * bright.median
    assert dark.depth_2 == pytest.approx(bright.depth_2, abs=0.05)


def test_measure_appearance_of_equal_frames_is_fully_correlated_and_of_new_noise_is_not() -> None:
    frames = clip()
    still, moving = measure_appearance(frames[[0, 0, 0, 0, 1]]), measure_appearance(frames)
    assert still is not None
    assert moving is not None
    assert still.frame_correlation > moving.frame_correlation + 0.5


def test_measure_appearance_of_nothing_is_none() -> None:
    assert measure_appearance(np.zeros((4, 64, 64), np.uint8)) is None


def test_lit_histogram_sums_to_one_and_counts_only_lit_pixels() -> None:
    histogram = lit_histogram(clip())
    assert histogram.sum() == pytest.approx(1.0)
    assert not histogram[:LIT].any()
    assert not lit_histogram(np.zeros((4, 64, 64), np.uint8)).any()
