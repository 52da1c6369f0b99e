"""Quality and the difference hash, against plain loops."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.store.quality import difference_hash, frame_quality

INSIDE = np.ones((32, 32), bool)


def test_frame_quality_of_black_uniform_and_empty_frames_is_zero() -> None:
    frames = np.stack([np.zeros((32, 32)), np.full((32, 32), 200)]).astype(np.uint8)
    assert frame_quality(frames, INSIDE).tolist() == [0.0, 0.0]
    assert frame_quality(frames, ~INSIDE).tolist() == [0.0, 0.0]


def test_frame_quality_falls_with_contrast_and_sharpness() -> None:
    draw = np.random.default_rng(0)
    sharp = draw.integers(0, 256, (32, 32)).astype(np.uint8)
    dull = (sharp // 8 + 100).astype(np.uint8)
    soft = np.repeat(np.repeat(sharp[::8, ::8], 8, axis=0), 8, axis=1)
    best, low, blurred = frame_quality(np.stack([sharp, dull, soft]), INSIDE)
    assert best > blurred > 0
    assert best > low > 0
    assert best <= 1


def test_frame_quality_follows_its_formula() -> None:
    ramp = np.tile(np.arange(32, dtype=np.uint8) * 4, (32, 1))
    low, high = np.percentile(ramp, (5, 95))
    expected = np.sqrt(min(1.0, (high - low) / 160) * 4 / (4 + 8))
    assert frame_quality(ramp[None], INSIDE)[0] == pytest.approx(expected, rel=1e-6)


def test_frame_quality_interpolates_percentiles_between_gray_levels() -> None:
    # Ranks 7.95 and 151.05 of 160 pixels: each percentile lies between two gray levels.
    frame = np.zeros((10, 16), np.uint8)
    frame.flat[8:151] = 40
    frame.flat[151:] = np.arange(151, 160)
    ranked = np.sort(frame.ravel()).astype(float)
    low = ranked[7] + 0.95 * (ranked[8] - ranked[7])
    high = ranked[151] + 0.05 * (ranked[152] - ranked[151])
    assert (low, high) == (pytest.approx(38.0), pytest.approx(151.05))
    values = frame.astype(float)
    gradient = np.hypot(values[1:, 1:] - values[:-1, 1:], values[1:, 1:] - values[1:, :-1]).mean()
    expected = np.sqrt((high - low) / 160 * gradient / (gradient + 8))
    assert frame_quality(frame[None], np.ones((10, 16), bool))[0] == pytest.approx(expected, rel=1e-6)


def test_frame_quality_counts_the_sector_alone() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(np.uint8)
    inside = INSIDE.copy()
    inside[:, 16:] = False
    changed = frame.copy()
    changed[:, 17:] = 0
    assert frame_quality(frame[None], inside) == frame_quality(changed[None], inside)


@given(st.integers(8, 40), st.integers(9, 40), st.integers(0, 2**32))
def test_difference_hash_follows_its_definition(height: int, width: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    bits = 0
    for row in range(8):
        cells = []
        for column in range(9):
            rows = slice(row * height // 8, (row + 1) * height // 8)
            columns = slice(column * width // 9, (column + 1) * width // 9)
            cells.append(frame[rows, columns].astype(int).sum() / frame[rows, columns][0].size)
        for left, right in pairwise(cells):
            bits = bits << 1 | int(left < right)
    assert int(difference_hash(frame[None])[0]) == bits


def test_difference_hash_changes_little_by_gain_and_much_by_another_picture() -> None:
    draw = np.random.default_rng(2)
    one, other = (np.repeat(np.repeat(draw.integers(20, 120, (14, 14)), 8, 0), 8, 1) for _ in range(2))
    pictures = np.stack([one, one * 2, one + draw.integers(0, 4, one.shape), other]).astype(np.uint8)
    first, *others = (int(value) for value in difference_hash(pictures))
    apart = [(first ^ value).bit_count() for value in others]
    assert apart[0] == 0
    assert apart[1] <= 4
    assert apart[2] > 15


@given(st.integers(1, 400), st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_frame_quality_takes_the_percentiles_of_numpy(pixels: int, levels: int, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, levels, (3, pixels, 2)).astype(np.uint8)
    low, high = np.percentile(frames.reshape(3, -1), (5, 95), axis=1)
    values = frames.astype(float)
    if pixels == 1:
        expected = np.zeros(3)  # one row has no gradient
    else:
        steps = np.hypot(values[:, 1:, 1:] - values[:, :-1, 1:], values[:, 1:, 1:] - values[:, 1:, :-1])
        gradient = steps.mean(axis=(1, 2))
        expected = np.sqrt(np.minimum(1.0, (high - low) / 160) * gradient / (gradient + 8))
    assert frame_quality(frames, np.ones((pixels, 2), bool)) == pytest.approx(expected, rel=1e-5)
