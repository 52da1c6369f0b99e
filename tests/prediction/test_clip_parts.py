"""The parts of the quality of frames: each falls with its own degradation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from heart2heart.prediction.clip_parts import quality_parts
from heart2heart.schema.clip_answer import QualityParts
from heart2heart.store.quality import contrast_and_gradient


def speckle(seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return 12 frames of a fan of speckle, black outside."""
    draw = np.random.default_rng(seed)
    y, x = np.indices((64, 64))
    fan = (np.abs(x - 32) < 0.6 * y) & (np.hypot(x - 32, y) < 62)
    frames = np.clip(draw.gamma(2.0, 40.0, (12, 64, 64)), 20, 249).astype(np.uint8)
    return np.where(fan, frames, 0).astype(np.uint8)


def parts(frames: npt.NDArray[np.uint8]) -> QualityParts:
    computed = quality_parts(frames)
    assert computed is not None
    return computed


def test_quality_parts_fall_with_blur_gain_and_shadow() -> None:
    whole = speckle()
    best = parts(whole)
    assert (best.sector, best.exposure) == (1.0, 1.0)
    fan = whole.max(axis=0) > 0
    blurred = np.where(fan, ndimage.gaussian_filter(whole, (0, 2, 2)), 0).astype(np.uint8)
    assert parts(blurred).sharpness < 0.7 * best.sharpness
    dark = (whole * 0.2).astype(np.uint8)
    assert parts(dark).contrast < 0.4 * best.contrast
    assert parts(dark).sector < 0.7
    assert parts(dark).exposure < 0.5
    assert parts(dark).sharpness == pytest.approx(best.sharpness, rel=0.15)  # gain is no sharpness
    bright = np.where(fan, np.minimum(whole.astype(int) * 6, 255), 0).astype(np.uint8)
    assert parts(bright).sector < 0.7  # saturated
    assert parts(bright).exposure == 0
    shadow = whole.copy()
    shadow[:, 30:50, 24:40] = 0  # between lit tissue on all sides
    expected = 1 - (shadow[0] == 0)[fan].mean()
    assert parts(shadow).sector == pytest.approx(expected, abs=0.02)


def test_quality_parts_are_means_over_the_scan() -> None:
    frames = speckle()[:1]
    inside = frames[0] > 0
    low, high = np.percentile(frames[0][inside], (5, 95))
    assert parts(frames).contrast == pytest.approx(min(1, (high - low) / 160), rel=1e-3)
    _, gradient = contrast_and_gradient(frames, inside)
    assert parts(frames).sharpness == pytest.approx(min(1, gradient[0] / (high - low) / 0.2))


def test_quality_parts_lose_detail_by_blur_and_haze() -> None:
    fan = speckle().max(axis=0) > 0
    dull = np.where(fan, speckle() // 8 + 80, 0).astype(np.uint8)  # below the largest detail that counts
    best = parts(dull).detail
    assert best is not None
    assert 0.2 < best < 0.8
    blurred = np.where(fan, ndimage.gaussian_filter(dull, (0, 2, 2)), 0).astype(np.uint8)
    hazy = np.where(fan, dull // 2 + 60, 0).astype(np.uint8)  # half of the speckle below a veil
    for worse in (parts(blurred).detail, parts(hazy).detail):
        assert worse is not None
        assert worse < 0.6 * best


def test_quality_parts_measure_detail_by_its_formula() -> None:
    frames = speckle()[:1] // 8 + 80
    core = ndimage.binary_erosion(np.ones((64, 64), bool), iterations=4)  # all is lit
    smooth = ndimage.gaussian_filter(frames[0].astype(float), 1.5)
    expected = (frames[0] - smooth)[core].std() / smooth[core].mean() / 0.2
    assert parts(frames).detail == pytest.approx(expected, rel=0.02)


def test_quality_parts_of_nothing() -> None:
    assert quality_parts(np.empty((0, 8, 8), np.uint8)) is None
    assert parts(np.zeros((3, 8, 8), np.uint8)) == QualityParts(sector=0, exposure=0, contrast=0, sharpness=0, detail=0)
