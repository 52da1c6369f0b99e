"""The network that scores small text in rows that stands still: five small convolutional layers in NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.convolution import blocks_of_two, convolve, score_cells
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
    _, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % CELL), (0, -width % CELL)), "edge")
    x = convolve(blocks_of_two(padded.astype(np.float32) / np.float32(255)), *weights()[0], halve=True)
    for (weight, bias), (_, _, _, reach) in list(zip(weights(), LAYERS, strict=True))[1:-1]:
        x = convolve(x, weight, bias, reach=reach)
    return score_cells(x, *weights()[-1])
