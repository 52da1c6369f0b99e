"""Adds the pixels of blocks of gray pictures, several bytes of a 64-bit word at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_SIXTEEN_BITS = 257  # bytes of which the sum is below 2 ** 16
_WORD = 8  # bytes
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_BYTE = np.uint64(8)  # bits


def block_sums(pictures: npt.NDArray[np.uint8], down: int, along: int) -> npt.NDArray[Any]:
    """Return the sum of each whole block; rows and columns beyond the last whole block are left out.

    Args:
        pictures: uint8 `(n, height, width)`.
        down: Rows of a block.
        along: Columns of a block.

    Returns:
        uint16 `(n, height // down, width // along)`, or uint32 for blocks of more than 257 pixels.

    Examples:
        >>> import numpy as np
        >>> block_sums(np.arange(12, dtype=np.uint8).reshape(1, 2, 6), 2, 2)
        array([[[14, 22, 30]]], dtype=uint16)
    """
    height, width = pictures.shape[1] // down * down, pictures.shape[2] // along * along
    pictures = pictures[:, :height, :width]
    few = down * along <= _SIXTEEN_BITS
    if few and along % 2 == 0:
        strips, step = _pair_sums(pictures, down), along // 2
    else:
        strips, step = np.zeros((len(pictures), height // down, width), np.uint16 if few else np.uint32), along
        for row in range(down):  # whole rows are added, so that the inner loop is long
            strips += pictures[:, row::down]
    total = strips if step == 1 else strips[:, :, ::step].copy()
    for column in range(1, step):
        total += strips[:, :, column::step]
    return total


def _pair_sums(pictures: npt.NDArray[np.uint8], down: int) -> npt.NDArray[np.uint16]:
    """Return the sums of `down` rows and two columns, uint16 `(n, height / down, width / 2)`."""
    count, height, width = pictures.shape
    if width % _WORD or not pictures.flags.c_contiguous:
        padded = np.zeros((count, height, width + -width % _WORD), np.uint8)
        padded[:, :, :width] = pictures
        pictures = padded
    words = pictures.view(np.uint64)
    total = np.zeros((count, height // down, words.shape[2]), np.uint64)
    part = np.empty_like(total)
    # Four sums of 16 bits in each word: the even bytes, then the odd ones.
    for row in range(down):
        total += np.bitwise_and(words[:, row::down], _EVEN_BYTES, out=part)
        np.right_shift(words[:, row::down], _BYTE, out=part)
        total += np.bitwise_and(part, _EVEN_BYTES, out=part)
    return total.view(np.uint16)[:, :, : width // 2]
