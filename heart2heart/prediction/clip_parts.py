"""What the quality of the frames of a clip consists of: how it is exposed, its contrast and its sharpness.

The bounds were set on simulated clips; `benchmarks.clip_order` measures the ranking on others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.schema.clip_answer import QualityParts
from heart2heart.store.quality import contrast_and_gradient

DARKEST, BRIGHTEST = 16, 250
"""Gray levels between which a pixel is neither black nor saturated."""
EXPOSURE = (0.0, 40.0, 90.0, 180.0)
"""Median gray of the scan at which the exposure begins to rise, is full, begins to fall, and is 0 again."""
FULL_SHARPNESS = 0.2
"""Mean gradient, of the spread of gray, that counts as sharp."""
FULL_DETAIL = 0.2
"""Fine detail, of the mean gray, that counts as full."""
_SMOOTH_PIXELS, _EDGE_PIXELS = 1.5, 4  # of the smoothed picture; of the scan's edge, which is no detail
_FRAMES = 8  # are looked at, evenly spread over the clip


def quality_parts(pixels: npt.NDArray[np.uint8]) -> QualityParts | None:
    """Return the parts of the quality of a clip, means over at most eight frames; None without frames.

    Args:
        pixels: uint8 `(n, size, size)`, black outside the scan.

    Examples:
        >>> import numpy as np
        >>> quality_parts(np.zeros((1, 16, 16), np.uint8))
        QualityParts(sector=0.0, exposure=0.0, contrast=0.0, sharpness=0.0, detail=0.0)
    """
    if not len(pixels):
        return None
    frames = pixels[np.linspace(0, len(pixels) - 1, min(_FRAMES, len(pixels))).round().astype(np.int64)]
    inside = _scan(frames.max(axis=0) > 0)
    if not inside.any():
        return QualityParts(sector=0.0, exposure=0.0, contrast=0.0, sharpness=0.0, detail=0.0)
    tissue = (frames >= DARKEST) & (frames <= BRIGHTEST)
    contrast, gradient = contrast_and_gradient(frames, inside)
    low, median, high = np.percentile(frames[:, inside], (5, 50, 95))
    return QualityParts(
        sector=float(tissue[:, inside].mean()),
        exposure=float(np.interp(median, EXPOSURE, (0.0, 1.0, 1.0, 0.0))),
        contrast=float(contrast.mean()),
        sharpness=min(1.0, float(gradient.mean()) / max(high - low, 1.0) / FULL_SHARPNESS),
        detail=min(1.0, _fine_detail(frames, inside) / FULL_DETAIL),
    )


def _fine_detail(frames: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> float:
    """Return the standard deviation of what a Gaussian takes away, over the mean gray; 0 where nothing is inside."""
    from scipy import ndimage

    core = ndimage.binary_erosion(inside, iterations=_EDGE_PIXELS)
    if not core.any():
        return 0.0
    values = frames.astype(np.float32)
    smooth = ndimage.gaussian_filter(values, (0, _SMOOTH_PIXELS, _SMOOTH_PIXELS))
    return float((values - smooth)[:, core].std() / (smooth[:, core].mean() + 1.0))


def _scan(lit: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels between lit ones of their row and of their column: chambers are black, but inside the scan."""
    between = [
        np.logical_or.accumulate(lit, axis) & np.flip(np.logical_or.accumulate(np.flip(lit, axis), axis), axis)
        for axis in (0, 1)
    ]
    filled: npt.NDArray[np.bool_] = between[0] & between[1]
    return filled
