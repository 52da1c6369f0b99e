"""Sums of blocks against the plain sum over reshaped blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.store.block_sums import block_sums


@given(st.integers(1, 9), st.integers(1, 9), st.integers(9, 40), st.integers(9, 40), st.booleans())
def test_block_sums_are_those_of_numpy(down: int, along: int, height: int, width: int, cropped: bool) -> None:
    pictures = np.random.default_rng(height * width).integers(0, 256, (3, height + 2, width + 3), dtype=np.uint8)
    pictures = pictures[:, 1:-1, 2:-1] if cropped else np.ascontiguousarray(pictures[:, 2:, 3:])
    rows, columns = height // down, width // along
    blocks = pictures[:, : rows * down, : columns * along].reshape(3, rows, down, columns, along)
    assert np.array_equal(block_sums(pictures, down, along), blocks.astype(int).sum(axis=(2, 4)))


@pytest.mark.parametrize("side", [2, 15, 16, 17, 40])
def test_block_sums_of_white_blocks_do_not_overflow(side: int) -> None:
    white = np.full((1, 2 * side, 3 * side), 255, np.uint8)
    assert (block_sums(white, side, side) == 255 * side * side).all()
