"""Convolutions of small networks in NumPy: gathered band by band, so that a band stays in the cache."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_BUFFER = 1 << 18  # numbers that one matrix product reads


def convolve(
    x: Floats, weight: Floats, bias: Floats, *, reach: int = 1, halve: bool = False, lit: Mask | None = None
) -> Floats:
    """Return the convolution of `x`, not below 0; the border is padded with 0.

    Args:
        x: float32 `(channels, rows, columns)`.
        weight: Filters, float32 `(size, size, channels, out)`.
        bias: float32 `(out,)`.
        reach: Dilation of the filters.
        halve: Whether to keep the maximum of each block of 2 x 2; rows and columns must be even.
        lit: bool `(rows, columns)`, where `x` may differ from 0; what is far from it is not computed. By default
            anywhere.

    Returns:
        float32 `(out, rows, columns)`, or half of the rows and columns.

    Examples:
        >>> import numpy as np
        >>> x = np.ones((1, 2, 4), np.float32)
        >>> convolve(x, np.ones((3, 3, 1, 1), np.float32), np.zeros(1, np.float32))[0].tolist()
        [[4.0, 6.0, 6.0, 4.0], [4.0, 6.0, 6.0, 4.0]]
    """
    channels, rows, columns = x.shape
    size, out = weight.shape[0], weight.shape[3]
    matrix = np.ascontiguousarray(weight.transpose(3, 0, 1, 2).reshape(out, -1))
    pad = reach * (size // 2)
    padded = np.zeros((channels, rows + 2 * pad, columns + 2 * pad), np.float32)
    padded[:, pad : pad + rows, pad : pad + columns] = x
    step = 2 if halve else 1
    output = np.empty((out, rows // step, columns // step), np.float32)
    output[:] = np.maximum(bias, 0)[:, None, None]
    band = min(rows, 2 * max(1, _BUFFER // (2 * matrix.shape[1] * columns)))
    buffer = np.empty(matrix.shape[1] * band * columns, np.float32)
    for start in range(0, rows, band):
        stop = min(rows, start + band)
        left, right = (0, columns) if lit is None else _span(lit[max(0, start - pad) : stop + pad], pad)
        if left == right:
            continue
        shape = size, size, channels, stop - start, right - left
        gathered = buffer[: math.prod(shape)].reshape(shape)
        for i in range(size):
            for j in range(size):
                window = padded[:, start + i * reach : stop + i * reach, left + j * reach : right + j * reach]
                gathered[i, j] = window
        product = (matrix @ gathered.reshape(matrix.shape[1], -1)).reshape(out, *shape[3:])
        if halve:  # before bias and limit, which leave the order of numbers
            product = largest_of_four(product)
        product += bias[:, None, None]
        np.maximum(product, 0, out=output[:, start // step : stop // step, left // step : right // step])
    return output


def _span(lit: Mask, pad: int) -> tuple[int, int]:
    """Return the first column near one that is lit, and the one after the last, both even or at the end."""
    columns = np.flatnonzero(lit.any(axis=0))
    if not len(columns):
        return 0, 0
    left, right = max(0, int(columns[0]) - pad), min(lit.shape[1], int(columns[-1]) + 1 + pad)
    return left - left % 2, min(lit.shape[1], right + right % 2)


def largest_of_four(x: Floats) -> Floats:
    """Return the maximum of each block of 2 x 2.

    Args:
        x: float32 `(channels, rows, columns)`, rows and columns even.

    Examples:
        >>> import numpy as np
        >>> largest_of_four(np.arange(8, dtype=np.float32).reshape(1, 2, 4)).tolist()
        [[[5.0, 7.0]]]
    """
    tall = np.maximum(x[:, ::2], x[:, 1::2])
    largest: Floats = np.maximum(tall[..., ::2], tall[..., 1::2])
    return largest


def score_cells(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """Return the last layer of a network, the weighted sum of the channels of each cell.

    Args:
        x: float32 `(channels, rows, columns)`.
        weight: float32 `(1, 1, channels, 1)`.
        bias: float32 `(1,)`.

    Returns:
        float32 `(rows, columns)`.

    Examples:
        >>> import numpy as np
        >>> x = np.array([[[1.0, 2.0]], [[3.0, 4.0]]], np.float32)
        >>> score_cells(x, np.array([1, 10], np.float32).reshape(1, 1, 2, 1), np.zeros(1, np.float32)).tolist()
        [[31.0, 42.0]]
    """
    scores: Floats = (weight[0, 0, :, 0] @ x.reshape(len(x), -1)).reshape(x.shape[1:]) + bias[0]
    return scores


def blocks_of_two(planes: Floats) -> Floats:
    """Return each pixel of blocks of 2 x 2 as a channel, as torch's `pixel_unshuffle` orders them.

    Args:
        planes: float32 `(count, rows, columns)`, both even.

    Returns:
        float32 `(4 * count, rows / 2, columns / 2)`.

    Examples:
        >>> import numpy as np
        >>> blocks_of_two(np.arange(4, dtype=np.float32).reshape(1, 2, 2)).ravel().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    count, rows, columns = planes.shape
    blocks = planes.reshape(count, rows // 2, 2, columns // 2, 2).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(blocks).reshape(4 * count, rows // 2, columns // 2)
