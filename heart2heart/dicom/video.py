"""Opens a video stream with PyAV, an extra: one thread, one named container format where it is known, no messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext


def video_errors() -> tuple[type[Exception], ...]:
    """Return the errors that PyAV raises for a damaged stream; PyAV must be installed."""
    from av.error import FFmpegError

    return (FFmpegError, *DECODE_ERRORS)


@contextmanager
def open_video(
    stream: IO[bytes], *, container_format: str | None = None, unreadable: StatusCode = StatusCode.FAILED_DECODE
) -> Iterator[InputContainer]:
    """Open a stream that holds video.

    Only the stream itself is read: a playlist or a reference in it to another file is not followed.

    Args:
        stream: The bytes, from their start.
        container_format: The only format that FFmpeg may read them as; None lets it probe.
        unreadable: Status of a stream that cannot be opened or holds no video.

    Raises:
        DicomError: `failed:no_decoder` without PyAV, or `unreadable`.
    """
    try:
        import av
    except ImportError:
        remedy = "Run: pip install 'heart2heart[video]'"
        raise DicomError(
            "the decoder PyAV is not installed", code=StatusCode.FAILED_NO_DECODER, remedy=remedy
        ) from None
    av.logging.set_level(None)
    try:
        container = av.open(stream, "r", format=container_format)
    except video_errors() as error:
        what = f"the video stream cannot be opened ({type(error).__name__})"
        raise DicomError(what, code=unreadable) from None
    with container:
        if not container.streams.video:
            raise DicomError("there is no video stream", code=unreadable)
        decoder: VideoCodecContext | None = container.streams.video[0].codec_context
        if decoder is None:
            raise DicomError("no decoder is known for the codec of the video", code=unreadable)
        decoder.thread_count = 1  # the worker processes are the parallelism
        yield container
