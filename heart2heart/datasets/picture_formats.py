"""Tells pictures and videos by their first bytes, and decodes them one after another, bounded.

A name says nothing: a GIF called `.png` is read as a GIF, and a zip file called `.jpg` is refused. Pillow decodes PNG,
JPEG, TIFF and GIF; PyAV, an extra, decodes MP4, MOV, AVI and MPEG. Each gets the format by name, so that neither
guesses, and no playlist or reference leads to another file.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from heart2heart.dicom.image_pixel import MAX_FRAMES, MAX_PIXELS, MAX_SIDE, luma
from heart2heart.dicom.video import open_video, video_errors
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_FILE_BYTES = 4 * 2**30
"""Largest file that is opened."""
MAX_CLIP_PIXELS = 2**33
"""Most pixels of one clip: 20,000 frames of 600 x 700 pixels."""

_HEAD_BYTES = 512
_DICOM_MARK = slice(128, 132)
_STILLS = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"))
_TIFF_MARKS = (b"II*\0", b"MM\0*")
_QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_MPEG_MARKS = ((b"\0\0\1\xba", "mpeg"), (b"\0\0\1\xb3", "mpegvideo"))
_STILL_FORMATS = ("PNG", "JPEG", "TIFF", "GIF")
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # TIFF tag, and its value for a negative
_SUBFILE, _REDUCED = 254, 1  # TIFF tag, and its bit for a thumbnail of another page
_STATED_MAXIMA = (341, 281)  # TIFF tags SMaxSampleValue and MaxSampleValue
_WIDE_MODES = ("I", "F")  # of Pillow: over 8 bits a sample
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
_BIT_DEPTHS = (8, 10, 12, 14, 16)
_PILLOW_ERRORS = (ArithmeticError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError)


@dataclass(frozen=True)
class DecodedPicture:
    """One picture of a file, not yet converted.

    Attributes:
        still: Picture of Pillow, mode L or RGB; or else
        frame: Frame of PyAV.
        turns: Quarter turns, counter-clockwise, that show it upright.
        time_ms: Milliseconds from the start, where the file says so.
        aspect: Width of a pixel over its height, before turning.
        declared: Pictures that the file declares; 0 where it does not.
    """

    still: Image.Image | None = None
    frame: VideoFrame | None = None
    turns: int = 0
    time_ms: float | None = None
    aspect: float = 1.0
    declared: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, upright."""
        pixels = self.still if self.still is not None else self.frame
        assert pixels is not None
        return (pixels.width, pixels.height) if self.turns % 2 else (pixels.height, pixels.width)

    @property
    def coloured(self) -> bool:
        """Whether it can hold colour."""
        if self.still is not None:
            return self.still.mode != "L"
        assert self.frame is not None
        return not self.frame.format.name.startswith(("gray", "mono"))

    def pixels(self, *, gray: bool) -> npt.NDArray[np.uint8]:
        """Return uint8 `(height, width)` if `gray`, else RGB `(height, width, 3)`."""
        if self.frame is not None:
            values = np.asarray(self.frame.to_ndarray(format="gray" if gray else "rgb24"), np.uint8)
        else:
            assert self.still is not None
            values = np.asarray(self.still, np.uint8)
            if gray and values.ndim == 3:
                values = luma(values)
            elif not gray and values.ndim == 2:
                values = np.repeat(values[..., None], 3, axis=2)
        return np.rot90(values, self.turns)


def picture_format(path: Path) -> str | None:
    """Return the format of a picture or video by its first bytes, or None for any other content.

    Returns:
        `PNG`, `JPEG`, `TIFF`, `GIF`, or FFmpeg's name of a container: `mov` (MP4 too), `avi`, `mpeg`, `mpegvideo`.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[_DICOM_MARK] == b"DICM":  # a DICOM file may begin as a TIFF file does (PS3.10 section 7.1)
        return None
    if head[:4] in _TIFF_MARKS:
        return "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in _QUICKTIME_BOXES:
        return "mov"
    return next((name for mark, name in (*_STILLS, *_MPEG_MARKS) if head.startswith(mark)), None)


def decode_pictures(path: Path, form: str) -> Iterator[DecodedPicture | None]:
    """Decode the pictures of a file, one after another.

    A picture of 16 bits is divided by the largest value that its file states, or else by the largest of 8, 10, 12, 14
    or 16 bits that its pictures need. Transparent parts become black. Pictures are turned as their file says. None
    stands for a part of a video that cannot be decoded.

    Args:
        path: The file.
        form: A result of `picture_format`.

    Raises:
        DicomError: `failed:decode`, `failed:truncated`, `failed:bounds`, `failed:layout`, `failed:no_decoder`. Pictures
            before the fault were yielded.
    """
    return _decode_stills(path, form) if form in _STILL_FORMATS else _decode_video(path, form)


@contextmanager
def _lenient() -> Iterator[None]:
    """Silence the warnings of Pillow, which concern metadata and sizes, and raise its errors as DicomError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except DicomError:
            raise
        except Image.DecompressionBombError:
            raise DicomError("a picture of too many pixels", code=StatusCode.FAILED_BOUNDS) from None
        except (*_PILLOW_ERRORS, struct.error, zlib.error) as error:
            cut = "truncated" in str(error).casefold() or isinstance(error, EOFError)
            code = StatusCode.FAILED_TRUNCATED if cut else StatusCode.FAILED_DECODE
            raise DicomError("a picture cannot be decoded", code=code) from None


def _decode_stills(path: Path, form: str) -> Iterator[DecodedPicture]:
    # From a stream: of a path, Pillow maps uncompressed pixels, and turns those of a TIFF by 90 degrees wrongly.
    with path.open("rb") as stream:
        with _lenient():
            image = Image.open(stream, formats=(form,))
        white, time = None, 0.0
        for index in range(MAX_FRAMES + 1):
            with _lenient():
                if index and (form == "JPEG" or not _next(image, index)):
                    return
                _check_size(image.height, image.width)
                if index == MAX_FRAMES:
                    raise DicomError(f"over {MAX_FRAMES} pictures", code=StatusCode.FAILED_BOUNDS)
                if index and _tag(image, _SUBFILE) & _REDUCED:
                    continue
                if white is None and image.mode.startswith(_WIDE_MODES):
                    white = _white_level(path, form)
                picture = _eight_bits(image, white)
                duration = float(image.info.get("duration") or 0)
            yield DecodedPicture(picture, time_ms=time if duration else None)
            time += duration


def _next(image: Image.Image, index: int) -> bool:
    """Go to the next picture; return whether there is one."""
    try:
        image.seek(index)
    except EOFError:
        return False
    return True


def _check_size(height: int, width: int) -> None:
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS or min(height, width) < 1:
        what = f"a picture of over {MAX_SIDE} pixels a side or {MAX_PIXELS} in all, or of none"
        raise DicomError(what, code=StatusCode.FAILED_BOUNDS)


def _tag(image: Image.Image, tag: int, default: int = 0) -> int:
    """Return the first value of a TIFF tag, or `default` if it is not there or is no number."""
    value = getattr(image, "tag_v2", {}).get(tag, default)
    first = value[0] if isinstance(value, tuple) and value else value
    return int(first) if isinstance(first, int | float) else default


def _white_level(path: Path, form: str) -> float:
    """Return the value of white in a file of over 8 bits: as stated, or by the bits that its pictures need."""
    largest, pixels = 0.0, 0
    with path.open("rb") as stream, Image.open(stream, formats=(form,)) as image:
        for index in range(MAX_FRAMES):
            if index and not _next(image, index):
                break
            _check_size(image.height, image.width)
            pixels += image.height * image.width
            if pixels > MAX_CLIP_PIXELS:
                raise DicomError(f"over {MAX_CLIP_PIXELS} pixels together", code=StatusCode.FAILED_BOUNDS)
            if not image.mode.startswith(_WIDE_MODES):
                continue
            stated = max(_tag(image, tag) for tag in _STATED_MAXIMA)
            if image.mode != "F" and 0 < stated < 2**16 - 1:
                return float(stated)
            values = np.asarray(image)
            if not np.isfinite(values).all() or values.min() < 0 or values.max() >= 2**16:
                raise DicomError("gray levels outside 0 to 65535", code=StatusCode.FAILED_LAYOUT)
            largest = max(largest, float(values.max()))
        if image.mode == "F" and largest <= 1:
            return 1.0
    return float(next(2**bits - 1 for bits in _BIT_DEPTHS if largest <= 2**bits - 1))


def _eight_bits(image: Image.Image, white: float | None) -> Image.Image:
    """Return the picture upright, of mode L or RGB; what is transparent becomes black."""
    image.load()  # turns a TIFF by itself
    inverted = _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO  # which Pillow heeds for 8 bits alone
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(_WIDE_MODES):
        assert white is not None
        levels = np.clip(np.rint(np.asarray(upright, np.float64) * (255 / white)), 0, 255).astype(np.uint8)
        return Image.fromarray(255 - levels if inverted else levels)
    if upright.mode in _TRANSPARENT_MODES or "transparency" in upright.info:
        shown = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown)
    elif upright.mode in ("L", "1"):
        return upright.convert("L")
    return upright.convert("RGB")


def _decode_video(path: Path, form: str) -> Iterator[DecodedPicture | None]:
    with path.open("rb") as stream, open_video(stream, container_format=form) as container:
        video = container.streams.video[0]
        step = 1000.0 / float(video.average_rate) if video.average_rate else None
        aspect = float(video.sample_aspect_ratio or 1)
        index = 0
        for packet in _packets(container):
            try:
                frames = packet.decode()
            except video_errors():
                yield None
                continue
            for frame in frames:
                if index == MAX_FRAMES:
                    raise DicomError(f"over {MAX_FRAMES} frames", code=StatusCode.FAILED_BOUNDS)
                _check_size(frame.height, frame.width)
                time = None if step is None else index * step
                time = time if frame.time is None else 1000.0 * float(frame.time)
                turns = round(frame.rotation / 90) % 4
                yield DecodedPicture(None, frame, turns, time, aspect, video.frames)
                index += 1


def _packets(container: InputContainer) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of the first video stream.

    Raises:
        DicomError: `failed:truncated` when the container ends before its end.
    """
    try:
        yield from container.demux(container.streams.video[0])
    except video_errors():
        raise DicomError("the video ends early", code=StatusCode.FAILED_TRUNCATED) from None
