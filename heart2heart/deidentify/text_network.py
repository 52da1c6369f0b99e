"""The network that scores text: small convolutions at five scales in NumPy, over the planes of `TextEvidence`.

It sees letters of 8 to 120 pixels in one pass: each scale is half of the one before, and the coarse ones are added back
to the finer ones.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.convolution import blocks_of_two, convolve, largest_of_four, score_cells

Floats = npt.NDArray[np.float32]

CELL = 8  # pixels, the side of a cell
COARSEST = 32  # pixels, the side of a cell of the coarsest scale
PLANES = 3
LAYERS = (
    (4 * PLANES, 12, 3),  # of blocks of 2 x 2 pixels; pooled to 4 x 4
    (12, 16, 3),  # pooled to 8 x 8
    (16, 32, 3), (32, 32, 3),  # pooled to 16 x 16
    (32, 48, 3), (48, 48, 3),  # pooled to 32 x 32
    (48, 48, 3), (48, 48, 3),
    (48, 32, 3),  # of the sum of 16 x 16 and 32 x 32
    (32, 32, 3),  # of the sum of 8 x 8 and 16 x 16
    (32, 1, 1),
)  # fmt: skip
"""Channels in and out, and size of the filter. Pooling takes the maximum; sums take the nearest coarse cell."""
RADIUS = 24  # cells around a cell that influence its score
MIN_SIDE = 24  # pixels a side
_LEVELS = np.sqrt(np.arange(256, dtype=np.float32) / np.float32(255))  # speckle grows with its level; its root less so


@cache
def weights() -> list[tuple[Floats, Floats]]:
    """Return the filters `(rows, columns, in, out)` and biases of each layer, float32.

    Examples:
        >>> [weight.shape[-1] for weight, _ in weights()]
        [12, 16, 32, 32, 48, 48, 48, 48, 32, 32, 1]
    """
    return stored_layers("burned_in.npz", len(LAYERS))


def stored_layers(name: str, count: int) -> list[tuple[Floats, Floats]]:
    """Return filters and biases of each layer of a packaged network, float32.

    Args:
        name: A file beside this module.
        count: Number of its layers.

    Examples:
        >>> len(stored_layers("upright.npz", 5))
        5
    """
    with np.load(Path(__file__).with_name(name), allow_pickle=False) as stored:
        return [
            (stored[f"w{layer}"].astype(np.float32), stored[f"b{layer}"].astype(np.float32)) for layer in range(count)
        ]


def text_log_odds(planes: npt.NDArray[np.uint8]) -> Floats:
    """Return the log-odds of text, float32 `(height / 8, width / 8)`, rounded up.

    Args:
        planes: uint8 `(3, height, width)`: the lowest and highest gray level of each pixel over the frames, and its
            level in the busiest frame; see `TextEvidence`.

    Examples:
        >>> import numpy as np
        >>> bool(text_log_odds(np.zeros((3, 30, 64), np.uint8)).max() < 0)
        True
    """
    _, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % COARSEST), (0, -width % COARSEST)))
    any_plane = np.bitwise_or.reduce(padded)
    tall = any_plane[::2] | any_plane[1::2]
    lit = (tall[:, ::2] | tall[:, 1::2]) > 0
    first = convolve(blocks_of_two(np.take(_LEVELS, padded)), *weights()[0], halve=True, lit=lit)
    fine = _layer(_layer(convolve(first, *weights()[1], halve=True), 2), 3)
    middle = _layer(_layer(largest_of_four(fine), 4), 5)
    coarse = _layer(_layer(largest_of_four(middle), 6), 7)
    middle = _layer(middle + _doubled(coarse), 8)
    fine = _layer(fine + _doubled(middle), 9)
    return score_cells(fine, *weights()[10])[: -(-height // CELL), : -(-width // CELL)]


def _layer(x: Floats, layer: int) -> Floats:
    return convolve(x, *weights()[layer])


def _doubled(x: Floats) -> Floats:
    """Return each cell four times, as a block of 2 x 2."""
    return x.repeat(2, axis=1).repeat(2, axis=2)
