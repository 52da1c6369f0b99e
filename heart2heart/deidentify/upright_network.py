"""The network that scores small text in rows that stands still: five small convolutional layers in NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.text_network import stored_layers

Floats = npt.NDArray[np.float32]

CELL = 4  # pixels, the side of a cell
PLANES = 2
LAYERS = ((4 * PLANES, 10, 3, 1), (10, 20, 3, 1), (20, 20, 3, 2), (20, 20, 3, 3), (20, 1, 1, 1))
"""Channels in and out, size of the filter and its dilation. The first sees blocks of 2 x 2 pixels of the planes; its
output is pooled to cells by the maximum."""
RADIUS = 7  # cells around a cell that influence its score


@cache
def weights() -> list[tuple[Floats, Floats]]:
    """Return the filters `(rows, columns, in, out)` and biases of each layer, float32.

    They are those of the release of 2026-11-21, fitted to text in rows.

    Examples:
        >>> [weight.shape[-1] for weight, _ in weights()]
        [10, 20, 20, 20, 1]
    """
    return stored_layers("upright.npz", len(LAYERS))


def upright_log_odds(planes: npt.NDArray[np.uint8]) -> Floats:
    """Return the log-odds of text in rows, float32 `(height / 4, width / 4)`, rounded up.

    Args:
        planes: uint8 `(2, height, width)`: the lowest and highest gray level of each pixel over the frames.

    Examples:
        >>> import numpy as np
        >>> bool(upright_log_odds(np.zeros((2, 30, 64), np.uint8)).max() < 0)
        True
    """
    count, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % CELL), (0, -width % CELL)), "edge")
    rows, columns = padded.shape[1] // 2, padded.shape[2] // 2
    # As torch's pixel_unshuffle orders channels: picture, row in the block, column in the block.
    blocks = padded.reshape(count, rows, 2, columns, 2).transpose(1, 3, 0, 2, 4).reshape(rows, columns, 4 * count)
    x = blocks.astype(np.float32) / np.float32(255)
    for layer, ((weight, bias), (_, _, size, reach)) in enumerate(zip(weights(), LAYERS, strict=True)):
        x = _convolve(x, weight, bias, reach * (size // 2), reach)
        if layer < len(LAYERS) - 1:
            np.maximum(x, 0, out=x)
        if layer == 0:
            upper, lower = x[::2], x[1::2]  # slice by slice, as NumPy is slow over short axes
            x = np.maximum(np.maximum(upper[:, ::2], upper[:, 1::2]), np.maximum(lower[:, ::2], lower[:, 1::2]))
    return x[..., 0]


def _convolve(x: Floats, weight: Floats, bias: Floats, pad: int, reach: int) -> Floats:
    """Return float32 `(rows, columns, out)` of `x` `(rows, columns, in)`; the border is padded with zeros."""
    rows, columns, _ = x.shape
    size = weight.shape[0]
    padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    output = np.empty((rows, columns, weight.shape[3]), np.float32)
    output[:] = bias
    for i in range(size):
        for j in range(size):
            output += padded[i * reach : i * reach + rows, j * reach : j * reach + columns] @ weight[i, j]
    return output
