"""Named, versioned geometries: how a decoded picture becomes a square frame, resampled once in physical units.

`tmed2` follows the TMED-2 data set (fix_a_step, section "TMED-2 on disk"): grayscale, longest side N,
zero-padding at the bottom and the right only. `centred` pads on all sides.

A frame pixel covers `s` source pixels along each axis. The picture is first averaged over blocks of `round(s)` whole
pixels (the antialiasing), then sampled once by linear interpolation at the centres of the frame pixels.

SimpleITK computes the position of each frame pixel in the picture from spacing and origin in physical space, so
unequal spacing becomes square pixels. The positions are the same for all frames of a clip and separate into rows and
columns, so they are computed once. NumPy then interpolates the frames, four times as fast as SimpleITK frame by frame
and equal to it within one gray level (docs/decisions/0002). Every operation is a single IEEE step in float32, so the
pixels are the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.errors import StoreError, UnknownNameError
from heart2heart.store.block_sums import block_sums

VERSIONS = {"tmed2": 1, "centred": 1}
"""Current version of each geometry. A change of pixels is a new version, and so another store.

Version 1 reduces by 1, 2, 4 or 8 while decoding, averages whole blocks where a frame pixel still covers two or more,
and interpolates once.
"""


@dataclass(frozen=True)
class ContentRect:
    """Where the content of a picture lies inside its square frame.

    Attributes:
        height: Rows of content, frame pixels.
        width: Columns of content, frame pixels.
        top: First row of content.
        left: First column of content.
        step: Side of one frame pixel, in the unit that the picture's extent was given in.
    """

    height: int
    width: int
    top: int
    left: int
    step: float


@dataclass(frozen=True)
class Geometry:
    """The rule by which frames were made.

    Attributes:
        name: `tmed2` or `centred`.
        size: Side N of the square frame, pixels.
        version: Version of the procedure of that name.
    """

    name: str = "tmed2"
    size: int = 112
    version: int = 1

    def __post_init__(self) -> None:
        if self.name not in VERSIONS:
            raise UnknownNameError.among("geometry", self.name, list(VERSIONS))
        if not 8 <= self.size <= 1024:
            raise StoreError(f"frame size {self.size} is out of range", remedy="Choose 8 to 1024 pixels")

    def letterbox(self, height: float, width: float) -> ContentRect:
        """Return the position of a picture of the given physical extent; its longest side becomes N, the rest padding.

        Args:
            height: Extent down the rows, any unit, above zero.
            width: Extent along the columns, the same unit.
        """
        step = max(height, width) / self.size
        rows = min(self.size, max(1, round(height / step)))
        columns = min(self.size, max(1, round(width / step)))
        if self.name == "tmed2":
            return ContentRect(rows, columns, 0, 0, step)
        return ContentRect(rows, columns, (self.size - rows) // 2, (self.size - columns) // 2, step)

    def to_json(self) -> dict[str, Any]:
        """Return the form kept in `store.json`."""
        return {"name": self.name, "size": self.size, "version": self.version}

    @classmethod
    def from_json(cls, content: Any) -> Geometry:
        """Read the form kept in `store.json`.

        Raises:
            StoreError: the content has another form, or the size is out of range.
            UnknownNameError: no such geometry.
        """
        try:
            name, size, version = str(content["name"]), int(content["size"]), int(content["version"])
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            remedy = "Restore the file store.json from a copy"
            raise StoreError("the geometry is damaged", remedy=remedy) from error
        return cls(name, size, version)

    def __str__(self) -> str:
        """Return e.g. `tmed2-112 (version 1)`."""
        return f"{self.name}-{self.size} (version {self.version})"


Window = tuple[float, float, float, float]
"""Left, top, right and bottom of the visible part, in source pixels from the corner; fractions allowed."""


class Resampler:
    """Resamples pictures of one size into frames of one geometry.

    Args:
        height: Rows of a picture.
        width: Columns of a picture.
        geometry: Name and size of the frames.
        spacing: Physical size of a source pixel down the rows and along the columns, any one unit.
        window: The visible part, if it does not start or end at a whole pixel; by default the whole picture.
    """

    def __init__(
        self,
        height: int,
        width: int,
        geometry: Geometry,
        spacing: tuple[float, float] = (1.0, 1.0),
        window: Window | None = None,
    ) -> None:
        left, top, right, bottom = window or (0.0, 0.0, float(width), float(height))
        (down, along), self._size = spacing, geometry.size
        self._content = content = geometry.letterbox((bottom - top) * down, (right - left) * along)
        self._blocks = (
            min(max(1, round(content.step / down)), height),
            min(max(1, round(content.step / along)), width),
        )
        rows, columns = height // self._blocks[0], width // self._blocks[1]
        self._rows = _neighbours(
            _sample_positions(rows, down * self._blocks[0], top * down, bottom * down, content.height), rows
        )
        self._columns = _neighbours(
            _sample_positions(columns, along * self._blocks[1], left * along, right * along, content.width), columns
        )

    def __call__(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, N, N)`, padding 0, for uint8 `(n, height, width)`; a few at a time stay in cache."""
        values: npt.NDArray[Any] = _block_mean(pictures, *self._blocks)
        first, second, weight = self._rows
        values = _interpolate(values[:, first], values[:, second], weight[:, None])
        first, second, weight = self._columns
        values = _interpolate(values.take(first, axis=2, mode="clip"), values.take(second, axis=2, mode="clip"), weight)
        frames = np.zeros((len(pictures), self._size, self._size), np.uint8)
        content = self._content
        # Means of gray levels lie within 0 and 255, so rounding cannot leave uint8.
        frames[:, content.top : content.top + content.height, content.left : content.left + content.width] = np.rint(
            values, out=values
        )
        return frames


@lru_cache(maxsize=256)  # an archive repeats a few picture sizes; the filters cost more than the frames of a small clip
def _sample_positions(count: int, pitch: float, start: float, stop: float, size: int) -> npt.NDArray[np.float32]:
    """Return where `size` frame pixels between `start` and `stop` lie among `count` samples `pitch` apart, by number.

    A ramp that holds each sample's number is resampled in physical space; beyond the ends it keeps its last value.
    """
    import SimpleITK

    sitk: Any = SimpleITK  # its functions carry no types
    ramp = sitk.GetImageFromArray(np.arange(count, dtype=np.float64)[None])
    ramp.SetSpacing((pitch, 1.0))
    ramp.SetOrigin((pitch / 2, 0.0))  # the picture's corner is 0; the position of a sample is its centre
    sampler = sitk.ResampleImageFilter()
    sampler.SetNumberOfThreads(1)  # the worker processes are the parallelism
    step = (stop - start) / size
    sampler.SetSize((size, 1))
    sampler.SetOutputSpacing((step, 1.0))
    sampler.SetOutputOrigin((start + step / 2, 0.0))
    sampler.SetInterpolator(sitk.sitkLinear)
    sampler.UseNearestNeighborExtrapolatorOn()
    return np.asarray(sitk.GetArrayFromImage(sampler.Execute(ramp))[0], np.float32)


def _neighbours(
    positions: npt.NDArray[np.float32], count: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the two neighbours of each position and the weight of the second."""
    first = np.clip(np.floor(positions), 0, count - 1).astype(np.intp)
    return first, np.minimum(first + 1, count - 1), (positions - first).astype(np.float32)


def _interpolate(
    first: npt.NDArray[Any], second: npt.NDArray[Any], weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return `first + weight * (second - first)` in float32, which never leaves the interval between the two."""
    low = first.astype(np.float32)
    rise: npt.NDArray[np.float32] = np.subtract(second, low, dtype=np.float32)
    rise *= weight
    rise += low
    return rise


def _block_mean(pictures: npt.NDArray[np.uint8], down: int, along: int) -> npt.NDArray[Any]:
    """Return the means of whole blocks, float32, or the pictures themselves when a block is one pixel."""
    if (down, along) == (1, 1):
        return pictures
    means: npt.NDArray[np.float32] = np.divide(
        block_sums(pictures, down, along), np.float32(down * along), dtype=np.float32
    )
    return means
