"""Makes the pictures of a viewing copy: every frame at full size, blanked outside the sector as the frames are.

The coding is JPEG by libjpeg-turbo: of the open encoders that the core holds, it alone writes as fast as it reads
(docs/results/viewing-copies.md). Every picture is searched for text at its full size. Where text is suspected at any
size, no copy is made, since a person who clears the small frames has not seen the large ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from heart2heart.deidentify.burned_in_text import TextSearch
from heart2heart.deidentify.stored_text import any_in_blocks
from heart2heart.dicom.extract_frames import shrink_mask
from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.inspect_clip import ClipInspection
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.viewing_copy import MAX_COPY_BYTES, MAX_FRAMES, MAX_SIDE
from heart2heart.store.viewing_copies import ViewingPictures

QUALITIES = (90, 80, 70, 60, 50)
"""JPEG qualities; the first that keeps the size is taken."""
BYTES_PER_SECOND = 2_000_000
"""Size of a viewing copy for each second of the clip, at most, as far as the lowest quality allows it."""
_DEFAULT_FRAME_MS = 40.0
_SQUARE = 0.01  # relative difference of the sides of a pixel up to which it counts as square
_COLOURED = 12.0  # mean distance of the channels of lit pixels from which a B-mode clip is kept in colour
_LIT = 24

Picture = npt.NDArray[np.uint8]


def viewing_pictures(
    reader: FrameReader,
    inspection: ClipInspection,
    spacing_mm: tuple[float, float] | None,
    times: npt.NDArray[np.float64] | None,
    *,
    aspect: tuple[float, float] = (1.0, 1.0),
) -> ViewingPictures | None:
    """Return the pictures of a clip; None where text is suspected in one, or the clip is too large.

    Args:
        reader: The clip.
        inspection: Sector and mode of the clip.
        spacing_mm: Row and column spacing, millimetres, or None.
        times: Milliseconds of each frame from the first, float64 `(n,)`, or None.
        aspect: Height and width of a pixel, any unit, where the spacing is not known.

    Raises:
        DicomError: a frame cannot be decoded, and the reader is strict.
    """
    if len(reader) > MAX_FRAMES:
        return None
    x0, y0, x1, y1 = inspection.box
    shrink = next((s for s in (1, 2, 4, 8) if max(y1 - y0, x1 - x0) <= s * MAX_SIDE // 2), 8)
    search = TextSearch(any_in_blocks(inspection.mask, inspection.box, shrink), is_reduced=shrink > 1)
    row, column = (side * shrink for side in spacing_mm or aspect)
    coloured = _is_coloured(reader, inspection)
    numbers: list[int] = []
    jpegs: list[bytes] = []
    size: tuple[int, int] | None = None
    quality, total = 0, 0
    budget = BYTES_PER_SECOND * _frame_ms(times) / 1000
    for number, picture in _blanked(reader, inspection, coloured, shrink):
        search.add(picture[None])
        shown = _square_pixels(picture, row, column)  # `picture` is used again for the next frame
        size = size or (shown.shape[0], shown.shape[1])
        quality = quality or _quality(shown, budget)
        jpegs.append(_encode(shown, quality))
        numbers.append(number)
        total += len(jpegs[-1])
        if total > MAX_COPY_BYTES:
            return None
    if size is None or max(size) > MAX_SIDE or not search.complete or search.finding().is_found:
        return None
    return ViewingPictures(
        width=size[1],
        height=size[0],
        colour=coloured,
        spacing_mm=None if spacing_mm is None else min(row, column),
        index=tuple(numbers),
        time_ms=None if times is None else tuple(round(float(time), 3) for time in times[numbers]),
        jpegs=tuple(jpegs),
    )


def _blanked(
    reader: FrameReader, inspection: ClipInspection, coloured: bool, shrink: int
) -> Iterator[tuple[int, Picture]]:
    """Yield the number and the picture of each frame, cropped to the box, black outside the sector.

    The array is used again for the next frame.
    """
    x0, y0, x1, y1 = inspection.box
    part = np.s_[y0 // shrink : -(-y1 // shrink), x0 // shrink : -(-x1 // shrink)]
    mask = shrink_mask(inspection, shrink)
    factor = mask[..., None].repeat(3, axis=2) if coloured else mask  # NumPy is slow over a last axis of one
    blanked = np.empty_like(factor)
    for number, picture in reader.stream(np.arange(len(reader)), gray=not coloured, shrink=shrink):
        yield number, np.multiply(picture[part], factor, out=blanked)


def _is_coloured(reader: FrameReader, inspection: ClipInspection) -> bool:
    """Return whether the recording shows colour inside the sector: Doppler, or a tint of the whole picture."""
    if not reader.coloured:
        return False
    if inspection.mode in (ClipMode.COLOUR, ClipMode.TISSUE_DOPPLER):
        return True
    numbers, pictures = reader.decode(np.array([len(reader) // 2]), gray=False)
    if not len(numbers):
        return False
    x0, y0, x1, y1 = inspection.box
    red, green, blue = (pictures[0, y0:y1, x0:x1, channel] for channel in range(3))
    # Channel by channel, as NumPy is slow over a last axis of three.
    greatest = np.maximum(np.maximum(red, green), blue)
    distance = greatest - np.minimum(np.minimum(red, green), blue)
    lit = inspection.mask & (greatest >= _LIT)
    return bool(lit.any()) and float(distance[lit].mean()) > _COLOURED


def _frame_ms(times: npt.NDArray[np.float64] | None) -> float:
    if times is None or len(times) < 2:
        return _DEFAULT_FRAME_MS
    return max(1.0, float(times[-1] - times[0]) / (len(times) - 1))


def _square_pixels(picture: Picture, row: float, column: float) -> Picture:
    """Return a picture whose pixels are as wide as high; none is lost."""
    if abs(row / column - 1) <= _SQUARE:
        return picture
    from PIL import Image

    side = min(row, column)
    height, width = (
        max(1, min(MAX_SIDE, round(count * each / side)))
        for count, each in zip(picture.shape[:2], (row, column), strict=True)
    )
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _quality(picture: Picture, budget: float) -> int:
    return next((quality for quality in QUALITIES if len(_encode(picture, quality)) <= budget), QUALITIES[-1])


def _encode(picture: Picture, quality: int) -> bytes:
    import simplejpeg

    if picture.ndim == 2:
        gray = np.ascontiguousarray(picture[..., None])
        return bytes(simplejpeg.encode_jpeg(gray, quality=quality, colorspace="GRAY", colorsubsampling="Gray"))
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=quality, colorsubsampling="420"))
