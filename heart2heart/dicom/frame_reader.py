"""Decodes the frames of one file by number, and leaves damaged ones out.

MPEG-2, H.264 and HEVC (PS3.5 sections 8.2.5 to 8.2.7) are decoded by PyAV, an extra. Their fragments are one stream:
every pass decodes from the start to the last requested frame, and holds one frame at a time. In a file that is cut
short, the last packet may be half a frame and is left out. A container without its index cannot be opened.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.codecs import Decoder, pinned_decoder
from heart2heart.dicom.image_pixel import MAX_FRAMES, ImagePixel, block_mean
from heart2heart.dicom.pixel_data import EncodedFrames
from heart2heart.dicom.video import open_video, video_errors
from heart2heart.errors import DicomError
from heart2heart.schema.status import ClipFlag, StatusCode

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class FrameReader(ABC):
    """Decodes frames on request.

    Args:
        rows: Height of a picture.
        columns: Width of a picture.
        coloured: Whether the pictures can hold colour at all.
        strict: Whether damage fails the clip; else what cannot be decoded is left out and `damaged` says so.

    Attributes:
        rows: Height of a picture.
        columns: Width of a picture.
        coloured: Whether the pictures can hold colour at all.
        damaged: Whether a frame had to be left out so far.
    """

    def __init__(self, rows: int, columns: int, *, coloured: bool, strict: bool) -> None:
        self.rows, self.columns, self.coloured = rows, columns, coloured
        self._strict = strict
        self.damaged = False

    @property
    @abstractmethod
    def flags(self) -> tuple[ClipFlag, ...]:
        """Flags of the clip that concern its frames."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of frames in the file."""

    @abstractmethod
    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield the number and the picture of each undamaged frame among `numbers`, one at a time.

        Args:
            numbers: Frames in ascending order.
            gray: Whether pictures are uint8 `(rows, columns)`, else RGB `(rows, columns, 3)`.
            shrink: Both sides are divided by this, see `Decoder.decode`.

        Raises:
            DicomError: `failed:decode` when a frame is damaged and the reader is strict.
        """

    def decode(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return the numbers of the undamaged frames among `numbers`, and their pictures, stacked; see `stream`.

        Returns:
            int64 `(n,)`, and uint8 `(n, rows, columns)` if `gray`, else RGB `(n, rows, columns, 3)`.

        Raises:
            DicomError: see `stream`.
        """
        frames = list(self.stream(numbers, gray=gray, shrink=shrink))
        if not frames:
            size = (-(-self.rows // shrink), -(-self.columns // shrink))
            return np.zeros(0, np.int64), np.zeros((0, *size) if gray else (0, *size, 3), np.uint8)
        return np.array([number for number, _ in frames], np.int64), np.stack([picture for _, picture in frames])


class PixelDataReader(FrameReader):
    """Decodes the frames of the pixel data of a DICOM file.

    Args:
        source: The encoded frames.
        image_pixel: Image Pixel Module of the header.
        strict: See `FrameReader`.
    """

    def __init__(self, source: EncodedFrames, image_pixel: ImagePixel, *, strict: bool) -> None:
        super().__init__(image_pixel.rows, image_pixel.columns, coloured=image_pixel.coloured, strict=strict)
        self._source, self._image_pixel = source, image_pixel

    @property
    def flags(self) -> tuple[ClipFlag, ...]:
        """Flags of the clip that concern its frames."""
        return (*self._source.flags, ClipFlag.CORRUPT_FRAMES) if self.damaged else self._source.flags


class PerFrameReader(PixelDataReader):
    """Reads a file in which each frame is encoded on its own.

    Args:
        source: The encoded frames.
        decoder: The pinned decoder of the file's transfer syntax.
        image_pixel: Image Pixel Module of the header.
        strict: Whether one damaged frame fails the clip; else it is left out and `damaged` says so.
    """

    def __init__(self, source: EncodedFrames, decoder: Decoder, image_pixel: ImagePixel, *, strict: bool) -> None:
        super().__init__(source, image_pixel, strict=strict)
        self._decoder = decoder

    def __len__(self) -> int:
        """Return the number of frames in the file."""
        return len(self._source)

    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """See `FrameReader.stream`."""
        for number in numbers.tolist():
            try:
                frame = self._source.frame(number)
                picture = self._decoder.decode(frame, self._image_pixel, gray=gray, shrink=shrink)
            except DicomError:
                if self._strict:
                    raise
                self.damaged = True
                continue
            yield number, picture


def open_frames(source: EncodedFrames, image_pixel: ImagePixel, *, strict: bool) -> FrameReader:
    """Return the frame reader for the transfer syntax of a file.

    Raises:
        DicomError: `failed:unsupported_syntax`, or `failed:no_decoder` with what to install.
    """
    if source.video:
        return VideoFrameReader(source, image_pixel, strict=strict)
    return PerFrameReader(source, pinned_decoder(source.opened.syntax), image_pixel, strict=strict)


class VideoFrameReader(PixelDataReader):
    """Decodes a stream; frames are numbered in the order they are shown.

    Args:
        source: The file's pixel data.
        image_pixel: Image Pixel Module of the header.
        strict: Whether damage fails the clip; else what cannot be decoded is left out and `damaged` says so.

    Raises:
        DicomError: `failed:no_decoder` without PyAV, `failed:decode` when the stream cannot be opened or holds no
            frame (`failed:truncated` if the file is cut short), `failed:bounds` when it holds too many.
    """

    def __init__(self, source: EncodedFrames, image_pixel: ImagePixel, *, strict: bool) -> None:
        super().__init__(source, image_pixel, strict=strict)
        self._bytes = source.frame(0)
        self._cut = ClipFlag.SALVAGED in source.flags
        with self._opened() as container:
            self._frames = sum(1 for _ in self._packets(container)) - self._cut
        if self._frames > MAX_FRAMES:
            raise DicomError(f"the stream holds more than {MAX_FRAMES} frames", code=StatusCode.FAILED_BOUNDS)
        if self._frames < 1:
            raise DicomError("the stream holds no complete frame", code=self._unreadable)

    @property
    def flags(self) -> tuple[ClipFlag, ...]:
        """Flags of the clip that concern its frames."""
        miscounted = self._frames != self._image_pixel.declared_frames and not self._cut
        return (*super().flags, ClipFlag.FRAME_COUNT) if miscounted else super().flags

    def __len__(self) -> int:
        """Return the number of frames in the file."""
        return self._frames

    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """See `FrameReader.stream`."""
        chosen = frozenset(numbers.tolist())
        last = max(chosen, default=-1)
        with self._opened() as container:
            for index, frame in enumerate(self._decoded(container)):
                if index in chosen:
                    picture = np.asarray(frame.to_ndarray(format="gray" if gray else "rgb24"), np.uint8)
                    yield index, block_mean(picture, shrink)
                if index >= last:
                    return

    @property
    def _unreadable(self) -> StatusCode:
        return StatusCode.FAILED_TRUNCATED if self._cut else StatusCode.FAILED_DECODE

    def _packets(self, container: InputContainer) -> Iterator[Packet[VideoStream]]:
        """Yield the packets that hold a frame, as far as the stream can be read."""
        try:
            yield from (packet for packet in container.demux(video=0) if packet.size)
        except video_errors():
            self._damage()

    def _decoded(self, container: InputContainer) -> Iterator[VideoFrame]:
        """Yield every frame that can be decoded and has the declared size."""
        from av import VideoFrame

        decoder = container.streams.video[0].codec_context
        for packet in chain(islice(self._packets(container), self._frames), [None]):  # None: flushes the decoder
            try:
                frames = decoder.decode(packet)
            except video_errors():
                self._damage()
                continue
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                if (frame.height, frame.width) == (self._image_pixel.rows, self._image_pixel.columns):
                    yield frame
                else:
                    self._damage()

    def _damage(self) -> None:
        if self._strict:
            raise DicomError("a part of the video stream cannot be decoded", code=StatusCode.FAILED_DECODE)
        self.damaged = True

    def _opened(self) -> AbstractContextManager[InputContainer]:
        return open_video(io.BytesIO(self._bytes), unreadable=self._unreadable)
