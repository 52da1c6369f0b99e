"""Two measures of a single frame: a quality from 0 to 1, and a hash that is similar for near-duplicates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.store.sector import bounding_box

_FULL_CONTRAST = 160.0  # gray levels between the 5th and 95th percentile that count as full contrast
HALF_SHARPNESS = 8.0
"""Mean gradient, gray levels a pixel, that scores one half."""
_SIXTEEN_BITS = 2048  # rows of which an eighth adds up to less than 2 ** 16
_TOGETHER = 4  # frames scored at a time, so that they stay in the cache


def frame_quality(frames: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Score contrast and sharpness inside the sector; the scale is technical, not diagnostic.

    The score is `sqrt(c * s)`: `c` is the spread between the 5th and 95th percentile of gray over 160 levels, at most
    1; `s = g / (g + 8)` with `g` the mean gradient magnitude in gray levels a pixel (the gradient family of focus
    measures: Pertuz et al., Pattern Recognition 2013, 46(5):1415). A black or uniform frame scores 0.

    Args:
        frames: uint8 `(n, N, N)`.
        inside: bool `(N, N)`, the sector; when nothing is inside, all scores are 0.

    Returns:
        float32 `(n,)`, each 0 to 1.
    """
    contrast, gradient = contrast_and_gradient(frames, inside)
    return np.sqrt(contrast * gradient / (gradient + HALF_SHARPNESS)).astype(np.float32)


def contrast_and_gradient(
    frames: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what `frame_quality` consists of.

    Args:
        frames: uint8 `(n, N, N)`.
        inside: bool `(N, N)`, the sector; when nothing is inside, all values are 0.

    Returns:
        Contrast, 0 to 1, and the mean gradient in gray levels a pixel, float64 `(n,)` each.
    """
    if not inside.any() or not len(frames):
        return np.zeros(len(frames)), np.zeros(len(frames))
    x0, y0, x1, y1 = bounding_box(inside)
    inside, frames = inside[y0:y1, x0:x1], frames[:, y0:y1, x0:x1]
    # A gradient across the sector's edge measures the edge, not the picture.
    core = inside[1:, 1:] & inside[:-1, 1:] & inside[1:, :-1]
    contrast = np.minimum(1.0, _spread(frames.reshape(len(frames), -1), np.flatnonzero(inside)) / _FULL_CONTRAST)
    gradient = np.zeros(len(frames), np.float64)
    for start in range(0, len(frames), _TOGETHER):
        values = frames[start : start + _TOGETHER].astype(np.float32)
        here = values[:, 1:, 1:]
        slope, along = here - values[:, :-1, 1:], here - values[:, 1:, :-1]
        slope *= slope
        along *= along
        slope += along
        np.sqrt(slope, out=slope)
        slope *= core
        gradient[start : start + _TOGETHER] = slope.sum(axis=(1, 2), dtype=np.float64)
    gradient /= max(1, int(core.sum()))
    return contrast, gradient


def _spread(frames: npt.NDArray[np.uint8], pixels: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return the 95th less the 5th percentile of each frame, linearly interpolated, as `np.percentile` gives them."""
    ordered = np.sort(frames.take(pixels, axis=1), axis=1, kind="stable")  # a radix sort, faster than a partition
    return _at_share(ordered, 0.95) - _at_share(ordered, 0.05)


def _at_share(ordered: npt.NDArray[np.uint8], share: float) -> npt.NDArray[np.float64]:
    """Return the value at a share of each sorted row, interpolated from the nearer of its two neighbours."""
    position = share * (ordered.shape[1] - 1)
    below = int(position)
    low: npt.NDArray[np.float64] = ordered[:, below].astype(np.float64)
    high: npt.NDArray[np.float64] = ordered[:, min(below + 1, ordered.shape[1] - 1)].astype(np.float64)
    rise, rest = high - low, position - below
    if rest >= 0.5:
        high -= rise * (1 - rest)
        return high
    low += rise * rest
    return low


def difference_hash(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Hash each frame to 64 bits, one for each cell of an 8 x 9 grid of means that is darker than its right neighbour.

    Frames that differ by gain, slight noise or recompression differ in few bits (count them with XOR).

    Args:
        frames: uint8 `(n, N, N)`, or any `(n, height, width)` of at least 8 x 9 pixels; crop the padding first.

    Returns:
        uint64 `(n,)`; the first cell of the first row is the highest bit.
    """
    n, height, width = frames.shape
    strips = np.zeros((n, 8, width), np.uint16 if height <= _SIXTEEN_BITS else np.uint32)
    for row in range(height):  # whole rows are added, so that the inner loop is long
        strips[:, (8 * row + 7) // height] += frames[:, row]
    columns = np.arange(9) * width // 9
    sums = np.add.reduceat(strips, columns, axis=2, dtype=np.int64)
    sizes = np.diff(columns, append=width)
    darker = sums[:, :, :-1] * sizes[1:] < sums[:, :, 1:] * sizes[:-1]
    packed = np.packbits(darker.reshape(n, 64), axis=1)
    return packed.view(">u8").astype(np.uint64).reshape(n)
