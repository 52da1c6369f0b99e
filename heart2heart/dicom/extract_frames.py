"""Extracts square frames from a clip: only the chosen frames, decoded at the smallest size that the frames allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.inspect_clip import ClipInspection
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode
from heart2heart.store.geometry import Geometry, Resampler

_SHRINKS = (8, 4, 2, 1)
_LEAST_SIDE = 128  # pixels of a reduced picture
_BATCH_FRAMES = 8  # pictures resampled at a time, so that they stay in the cache; they are reduced already
_MAX_BYTES = 2**30  # of the kept frames of one clip, which a worker holds and sends to the writer


def choose_shrink(height: int, width: int, spacing: tuple[float, float], geometry: Geometry) -> int:
    """Return the largest of 1, 2, 4 and 8 at which the content has at least the pixels of its frame and 128 a side.

    Below 128, letters and speckle look alike to the search for text, which sees the reduced pictures.
    It depends on the clip and the geometry alone, never on the transfer syntax, so every syntax gives the same frames:
    exactly if it is lossless, except JPEG 2000, which is decoded at a lower resolution (docs/decisions/0002).

    Args:
        height: Rows of the content, source pixels.
        width: Columns of the content, source pixels.
        spacing: Row and column spacing, any unit.
        geometry: Geometry of the frames.
    """
    content_rect = geometry.letterbox(height * spacing[0], width * spacing[1])
    least_height, least_width = (max(side, _LEAST_SIDE) for side in (content_rect.height, content_rect.width))
    return next((s for s in _SHRINKS if height >= s * least_height and width >= s * least_width), 1)


def extract_frames(
    reader: FrameReader,
    inspection: ClipInspection,
    spacing: tuple[float, float],
    chosen: npt.NDArray[np.int64],
    geometry: Geometry,
    observe: Callable[[npt.NDArray[np.uint8]], None] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Decode the chosen frames, blank what lies outside the sector, and resample.

    Blanking happens before anything is resampled. A pixel of a reduced picture is kept only if its whole
    block is inside the sector.

    Args:
        reader: The clip.
        inspection: Sector of the clip.
        spacing: Row and column spacing of a source pixel, any unit.
        chosen: Frames in ascending order.
        geometry: Geometry of the frames.
        observe: Called with the blanked pictures before they are resampled, uint8 `(n, height, width)`: the blocks of
            `choose_shrink` pixels a side that overlap the box. The array is used again after the call.

    Returns:
        The numbers of the decoded frames, int64 `(n,)`; their pixels, uint8 `(n, N, N)`; the sector, bool `(N, N)`.

    Raises:
        DicomError: `failed:bounds` for more frames than a worker may hold, `failed:decode` when none can be decoded.
    """
    if len(chosen) * geometry.size**2 > _MAX_BYTES:
        remedy = "Keep fewer frames (--frames even:K) or choose a smaller size"
        raise DicomError("the chosen frames take more than 1 GiB", code=StatusCode.FAILED_BOUNDS, remedy=remedy)
    x0, y0, x1, y1 = inspection.box
    shrink = choose_shrink(y1 - y0, x1 - x0, spacing, geometry)
    left, top, right, bottom = x0 // shrink, y0 // shrink, -(-x1 // shrink), -(-y1 // shrink)
    window = (x0 / shrink - left, y0 / shrink - top, x1 / shrink - left, y1 / shrink - top)
    mask = shrink_mask(inspection, shrink)
    scale = (spacing[0] * shrink, spacing[1] * shrink)
    resample = Resampler(bottom - top, right - left, geometry, scale, window)
    pixels = np.zeros((len(chosen), geometry.size, geometry.size), np.uint8)
    numbers: list[int] = []
    buffer = np.empty((min(len(chosen), _BATCH_FRAMES), *mask.shape), np.uint8)
    for part in batched(reader.stream(chosen, gray=True, shrink=shrink), _BATCH_FRAMES):
        shown = buffer[: len(part)]
        for index, (_, picture) in enumerate(part):
            np.multiply(picture[top:bottom, left:right], mask, out=shown[index])
        if observe is not None:
            observe(shown)
        pixels[len(numbers) : len(numbers) + len(part)] = resample(shown)
        numbers += [number for number, _ in part]
    if not numbers:
        raise DicomError("none of the chosen frames can be decoded", code=StatusCode.FAILED_DECODE)
    inside = resample(255 * mask[None])[0] > 127
    return np.array(numbers, np.int64), pixels[: len(numbers)], inside


def batched(
    stream: Iterator[tuple[int, npt.NDArray[np.uint8]]], size: int
) -> Iterator[list[tuple[int, npt.NDArray[np.uint8]]]]:
    """Yield the items of `stream` in lists of at most `size`."""
    while part := list(islice(stream, size)):
        yield part


def shrink_mask(inspection: ClipInspection, shrink: int) -> npt.NDArray[np.uint8]:
    """Return 1 where a whole block lies inside the sector, else 0, over all blocks that overlap the box.

    Args:
        inspection: Sector of the clip.
        shrink: Side of a block, pixels.
    """
    x0, y0, x1, y1 = inspection.box
    whole = np.pad(inspection.mask, ((y0 % shrink, -y1 % shrink), (x0 % shrink, -x1 % shrink)))
    strips = np.logical_and.reduce([whole[row::shrink] for row in range(shrink)])  # as NumPy is slow over short axes
    return np.asarray(np.logical_and.reduce([strips[:, column::shrink] for column in range(shrink)]), np.uint8)
