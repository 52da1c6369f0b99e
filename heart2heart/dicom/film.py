"""The decoded frames of one file, by number, stepping over damaged ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.decode import Decoder, pinned_decoder
from heart2heart.dicom.layout import Layout
from heart2heart.dicom.pixels import PixelSource
from heart2heart.errors import DicomError


class Film(ABC):
    """Decodes frames when they are asked for.

    Attributes:
        damaged: Whether a frame had to be left out so far.
    """

    def __init__(self, source: PixelSource, layout: Layout, *, strict: bool) -> None:
        self._source, self._layout, self._strict = source, layout, strict
        self.damaged = False

    @property
    def coloured(self) -> bool:
        """Whether the pictures can hold colour at all."""
        return self._layout.coloured

    @property
    def flags(self) -> tuple[str, ...]:
        """What is to be said of the file's frames."""
        return (*self._source.flags, "corrupt_frames") if self.damaged else self._source.flags

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of frames in the file."""

    @abstractmethod
    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield the number and the picture of each sound frame among `numbers`, one at a time.

        Args:
            numbers: Frames in ascending order.
            gray: Whether pictures are uint8 `(rows, columns)`, else RGB `(rows, columns, 3)`.
            shrink: Both sides are divided by this, see `decode.Decoder`.

        Raises:
            DicomError: `failed:decode` when a frame is damaged and that is not tolerated.
        """

    def decode(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return the numbers of the sound frames among `numbers`, and their pictures, stacked; see `stream`.

        Returns:
            int64 `(n,)`, and uint8 `(n, rows, columns)` if `gray`, else RGB `(n, rows, columns, 3)`.

        Raises:
            DicomError: see `stream`.
        """
        found = list(self.stream(numbers, gray=gray, shrink=shrink))
        if not found:
            size = (-(-self._layout.rows // shrink), -(-self._layout.columns // shrink))
            return np.zeros(0, np.int64), np.zeros((0, *size) if gray else (0, *size, 3), np.uint8)
        return np.array([number for number, _ in found], np.int64), np.stack([picture for _, picture in found])


class FrameFilm(Film):
    """A file whose frames are encoded each by itself.

    Args:
        source: The encoded frames.
        decoder: The pinned decoder of the file's transfer syntax.
        layout: The declared layout.
        strict: Whether one damaged frame fails the clip; else it is left out and `damaged` says so.
    """

    def __init__(self, source: PixelSource, decoder: Decoder, layout: Layout, *, strict: bool) -> None:
        super().__init__(source, layout, strict=strict)
        self._decoder = decoder

    def __len__(self) -> int:
        """Return the number of frames in the file."""
        return len(self._source)

    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """See `Film.stream`."""
        for number in numbers.tolist():
            try:
                frame = self._source.frame(number)
                picture = self._decoder.decode(frame, self._layout, gray=gray, shrink=shrink)
            except DicomError:
                if self._strict:
                    raise
                self.damaged = True
                continue
            yield number, picture


def open_film(source: PixelSource, layout: Layout, *, strict: bool) -> Film:
    """Return the film of a file in its transfer syntax.

    Raises:
        DicomError: `failed:unsupported_syntax`, or `failed:no_decoder` with what to install.
    """
    if source.video:
        from heart2heart.dicom.video import VideoFilm

        return VideoFilm(source, layout, strict=strict)
    return FrameFilm(source, pinned_decoder(source.opened.syntax), layout, strict=strict)
