"""From source pixels to square frames in one resampling, in physical units, by SimpleITK.

A frame pixel covers `s` source pixels along each axis. The picture is first averaged over blocks of `round(s)` whole
pixels (the antialiasing), then sampled once by linear interpolation at the centres of the frame pixels. Both steps
share one physical space, so unequal row and column spacing becomes square pixels on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

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
    import SimpleITK

    sitk: Any = SimpleITK  # its functions carry no types

    n, height, width = pixels.shape
    frames = np.zeros((n, geometry.size, geometry.size), np.uint8)
    if n == 0:
        return frames
    down, along = spacing
    left, top, right, bottom = window or (0.0, 0.0, float(width), float(height))
    spot = geometry.place((bottom - top) * down, (right - left) * along)
    image = sitk.GetImageFromArray(np.ascontiguousarray(pixels))
    image.SetSpacing((along, down, 1.0))
    image.SetOrigin((along / 2, down / 2, 0.0))  # the picture's corner is (0, 0); a pixel's place is its centre
    blocks = (max(1, round(spot.step / along)), max(1, round(spot.step / down)))
    if blocks != (1, 1):
        shrink = sitk.BinShrinkImageFilter()
        shrink.SetNumberOfThreads(1)  # the worker processes are the parallelism
        shrink.SetShrinkFactors((min(blocks[0], width), min(blocks[1], height), 1))
        image = shrink.Execute(image)
    sampler = sitk.ResampleImageFilter()
    sampler.SetNumberOfThreads(1)
    sampler.SetSize((spot.width, spot.height, n))
    step = ((right - left) * along / spot.width, (bottom - top) * down / spot.height)
    sampler.SetOutputSpacing((*step, 1.0))
    sampler.SetOutputOrigin((left * along + step[0] / 2, top * down + step[1] / 2, 0.0))
    sampler.SetInterpolator(sitk.sitkLinear)
    sampler.SetOutputPixelType(sitk.sitkFloat32)
    sampler.UseNearestNeighborExtrapolatorOn()  # blocks cut at the right or bottom edge leave a sliver uncovered
    content = sitk.GetArrayFromImage(sampler.Execute(image))
    rows, columns = slice(spot.top, spot.top + spot.height), slice(spot.left, spot.left + spot.width)
    frames[:, rows, columns] = np.clip(np.rint(content), 0, 255)
    return frames
