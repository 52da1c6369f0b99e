"""Frames that look like a scan: blobs and speckle within a sector."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage


def echo_frames(count: int, *, side: int = 96, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Draw uint8 frames `(count, side, side)`, each of another patient."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    sector = (np.abs(x - 0.5) < 0.1 + 0.42 * y) & (y > 0.05) & (np.hypot(x - 0.5, y + 0.05) < 0.95)
    frames = np.empty((count, side, side), np.uint8)
    for index in range(count):
        blobs, speckle = (ndimage.gaussian_filter(rng.normal(size=(side, side)), side / width) for width in (16, 60))
        picture = 90 + 45 * blobs / blobs.std() + 20 * speckle / speckle.std()
        frames[index] = np.clip(picture, 15, 255) * sector
    return frames
