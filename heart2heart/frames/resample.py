"""From source pixels to square frames in one resampling, in physical units.

Each frame pixel is the mean of the source under a triangle as wide as two frame pixels, which keeps fine speckle from
aliasing; where the frame is finer than the source this is linear interpolation. The arithmetic is Pillow's, in fixed
point, so the pixels are the same on every machine. Unequal row and column spacing becomes square pixels on the way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from heart2heart.frames.geometry import Geometry

Window = tuple[float, float, float, float]
"""Left, top, right and bottom of what shall be seen, in source pixels from the corner; fractions allowed."""


def square_frames(
    pixels: npt.NDArray[np.uint8],
    geometry: Geometry,
    spacing: tuple[float, float] = (1.0, 1.0),
    window: Window | None = None,
) -> npt.NDArray[np.uint8]:
    """Resample gray pictures into the frames of `geometry`.

    Args:
        pixels: uint8 `(n, height, width)`, already cropped to what shall be seen.
        geometry: Name and size of the frames.
        spacing: Physical size of a source pixel down the rows and along the columns, any one unit.
        window: The part to be seen, when it does not begin or end with a whole pixel; by default all.

    Returns:
        uint8 `(n, N, N)`; padding is 0.
    """
    n, height, width = pixels.shape
    left, top, right, bottom = window or (0.0, 0.0, float(width), float(height))
    spot = geometry.place((bottom - top) * spacing[0], (right - left) * spacing[1])
    frames = np.zeros((n, geometry.size, geometry.size), np.uint8)
    for frame, picture in zip(frames, pixels, strict=True):
        source = Image.fromarray(np.ascontiguousarray(picture))
        small = source.resize((spot.width, spot.height), Image.Resampling.BILINEAR, (left, top, right, bottom))
        frame[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width] = np.asarray(small)
    return frames
