"""Reads a picture or video as a clip, with the interface of the readers of DICOM frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.datasets.picture_formats import (
    MAX_CLIP_PIXELS,
    MAX_FILE_BYTES,
    DecodedPicture,
    decode_pictures,
    picture_format,
)
from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.image_pixel import block_mean
from heart2heart.dicom.timing import cumulative_times
from heart2heart.errors import DicomError
from heart2heart.schema.status import ClipFlag, StatusCode

_MAX_HELD_BYTES = 2**28  # decoded pictures that are held in memory; a longer clip is decoded again for each pass
_BYTES_PER_PIXEL = 3
_MIN_ASPECT, _MAX_ASPECT = 0.25, 4.0  # as of a DICOM file's spacing
_CUT_CODES = (StatusCode.FAILED_DECODE, StatusCode.FAILED_TRUNCATED)


class PictureReader(FrameReader):
    """Decodes the pictures of one file; the first pass counts them and reads their times.

    Args:
        path: The file.
        strict: Whether damage fails the clip; else what cannot be decoded is left out and a flag says so.

    Attributes:
        times: Milliseconds of each picture from the first, float64 `(n,)`; None where the file gives no usable times.
        aspect: Height and width of a pixel, the height is 1.

    Raises:
        DicomError: `excluded:not_picture`, `failed:empty`, `failed:unreadable`, `failed:bounds`, `failed:layout` for
            pictures of several sizes, `failed:decode`, `failed:truncated`, `failed:no_decoder`.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        super().__init__(0, 0, coloured=False, strict=strict)
        self._path, self._format = path, _require_format(path)
        self._count, self._cut = 0, False
        self._held: list[DecodedPicture] | None = None
        held: list[DecodedPicture] = []
        times: list[float | None] = []
        for picture in self._decoded():
            if not self._count:
                self.rows, self.columns = picture.size
                self.aspect = _pixel_size(picture)
                self._declared = picture.declared
            self._count += 1
            self._require_same_size(picture)
            self.coloured = self.coloured or picture.coloured
            times.append(picture.time_ms)
            if self._count * self._picture_bytes <= _MAX_HELD_BYTES:
                held.append(picture)
        if not self._count:
            raise DicomError("no picture can be decoded", code=StatusCode.FAILED_DECODE)
        self._held = held if len(held) == self._count else None
        self.times = _plausible_times(times)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return self._count

    @property
    def flags(self) -> tuple[ClipFlag, ...]:
        """Flags of the clip that concern its pictures."""
        flags = (ClipFlag.CORRUPT_FRAMES,) if self.damaged else ()
        flags = (*flags, ClipFlag.SALVAGED) if self._cut else flags
        missing = self._declared > self._count and not flags
        return (ClipFlag.FRAME_COUNT,) if missing else flags

    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """See `FrameReader.stream`."""
        chosen = frozenset(numbers.tolist())
        last = max(chosen, default=-1)
        for index, picture in enumerate(self._decoded() if self._held is None else self._held):
            if index in chosen:
                yield index, block_mean(picture.pixels(gray=gray), shrink)
            if index >= last:
                return

    @property
    def _picture_bytes(self) -> int:
        return self.rows * self.columns * _BYTES_PER_PIXEL

    def _decoded(self) -> Iterator[DecodedPicture]:
        """Yield every picture that can be decoded."""
        count = 0
        try:
            for picture in decode_pictures(self._path, self._format):
                if picture is None:
                    self._note_damage()
                    continue
                count += 1
                yield picture
        except DicomError as error:
            if self._strict or not count or error.code not in _CUT_CODES:
                raise
            self._cut = True

    def _note_damage(self) -> None:
        if self._strict:
            raise DicomError("a part of the video cannot be decoded", code=StatusCode.FAILED_DECODE)
        self.damaged = True

    def _require_same_size(self, picture: DecodedPicture) -> None:
        if picture.size != (self.rows, self.columns):
            raise DicomError("the pictures of this file have several sizes", code=StatusCode.FAILED_LAYOUT)
        if self._count * self.rows * self.columns > MAX_CLIP_PIXELS:
            what = f"the pictures of this file have over {MAX_CLIP_PIXELS} pixels together"
            raise DicomError(what, code=StatusCode.FAILED_BOUNDS)


def _require_format(path: Path) -> str:
    """Return the format of a file of an acceptable size."""
    try:
        size = path.stat().st_size
        form = picture_format(path) if size and path.is_file() else None
    except OSError:
        raise DicomError("this file cannot be read", code=StatusCode.FAILED_UNREADABLE) from None
    if not size:
        raise DicomError("the file has no bytes", code=StatusCode.FAILED_EMPTY)
    if form is None:
        raise DicomError("the content is no picture or video", code=StatusCode.EXCLUDED_NOT_PICTURE)
    if size > MAX_FILE_BYTES:
        raise DicomError(f"a file of over {MAX_FILE_BYTES} bytes", code=StatusCode.FAILED_BOUNDS)
    return form


def _plausible_times(times: Sequence[float | None]) -> npt.NDArray[np.float64] | None:
    known = [time for time in times if time is not None]
    return cumulative_times(np.diff(known).tolist()) if len(known) == len(times) else None


def _pixel_size(picture: DecodedPicture) -> tuple[float, float]:
    """Return height and width of a pixel as it is shown; square if what the file says is not plausible."""
    width = picture.aspect if _MIN_ASPECT <= picture.aspect <= _MAX_ASPECT else 1.0
    return (1.0, 1.0 / width) if picture.turns % 2 else (1.0, width)
