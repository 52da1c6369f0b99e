"""Yields the pictures of a file: frames of DICOM files and of arrays, picture files, and pictures within a page."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.verify.dicom_elements import looks_like_dicom, read_elements, read_syntax
from heart2heart.verify.limits import READ_ERRORS
from heart2heart.verify.streams import embedded_files, read_blocks
from heart2heart.verify.viewing_copy import is_viewing_copy, read_pictures

MAX_FRAMES = 20_000
"""Distinct frames of one file that are read at most."""
_LARGEST = 2**26  # pixels of one picture
_SMALLEST = 16  # pixels a side of a picture that may hold a word
_PAGE = 256 * 2**20  # bytes of a page whose pictures are read
_PICTURE = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_VIDEO = (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x1aE\xdf\xa3")
_CLIP_OF_ARRAY = 16  # frames; a clip of an array of which no table says the clips

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        location: Where in the file.
        pixels: uint8 `(rows, columns)`, the lightest channel of each pixel.
        turned: Whether it is also read at 90, 180 and 270 degrees.
    """

    location: str
    pixels: Picture
    turned: bool


class UnreadPictureError(Exception):
    """The pictures of a file cannot be read."""


def frames_of(path: Path) -> Iterator[Frame]:
    """Yield every picture of a file; none if the file holds none.

    Raises:
        UnreadPictureError: a picture cannot be decoded, or is too large.
    """
    try:
        with path.open("rb") as handle:
            first = handle.read(512)
        yield from _frames(path, first)
    except READ_ERRORS as error:
        raise UnreadPictureError(f"cannot be decoded ({type(error).__name__})") from None


def _frames(path: Path, first: bytes) -> Iterator[Frame]:
    if first.startswith(b"\x93NUMPY"):
        yield from _array(path)
    elif looks_like_dicom(first):
        yield from _dicom(path)
    elif first.startswith(_PICTURE) or (first[:4] == b"RIFF" and first[8:12] == b"WEBP"):
        yield from _picture(path.read_bytes(), "picture")
    elif first[4:8] == b"ftyp" or first.startswith(_VIDEO) or (first[:4] == b"RIFF" and first[8:12] == b"AVI "):
        raise UnreadPictureError("videos are not read")
    elif is_viewing_copy(first):
        yield from _viewing_copy(path)
    elif first.startswith(b"%PDF"):
        if b"/Image" in path.read_bytes()[:_PAGE]:
            raise UnreadPictureError("pictures within a PDF file are not read")
    elif first.startswith(b"PK\x03\x04"):
        _refuse_pictures_in_zip(path)
    elif b"\0" not in first:
        yield from _page(path)


def _refuse_pictures_in_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as handle:
                first = handle.read(512)
            if first.startswith((*_PICTURE, b"\x93NUMPY")) or looks_like_dicom(first):
                raise UnreadPictureError("pictures within an archive are not read; unpack it")


def _array(path: Path) -> Iterator[Frame]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != np.uint8 or array.ndim not in (2, 3, 4):
        return
    if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4) and array.shape[0] > 4):
        array = array[None]
    if min(array.shape[1:3]) < _SMALLEST:
        return
    turned = _turned(path, len(array))
    for index in range(len(array)):
        yield Frame("a kept picture", _gray(np.asarray(array[index])), index in turned)


def _turned(path: Path, count: int) -> set[int]:
    """Return the first, middle and last frame of each clip, by the table beside the array if there is one."""
    table = path.with_suffix(".parquet")
    if table.is_file():
        import pyarrow.parquet as pq

        if "clip" in pq.read_schema(table).names:
            names = np.asarray(pq.read_table(table, columns=["clip"])["clip"].to_pylist())
            if len(names) == count:
                rows = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
                return {int(index) for row in rows for index in (row[0], row[len(row) // 2], row[-1])}
    return {*range(0, count, _CLIP_OF_ARRAY), count - 1}


def _gray(pixels: npt.NDArray[np.generic]) -> Picture:
    """Return uint8 `(rows, columns)`, wider integers by their own range."""
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=2)
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        pixels = (pixels.astype(np.float64) - low) * (255 / max(high - low, 1))
    return pixels.astype(np.uint8)


def _dicom(path: Path) -> Iterator[Frame]:
    from pydicom.pixels.utils import iter_pixels

    numbers: dict[int, int] = {}
    with path.open("rb") as handle:
        syntax, _ = read_syntax(handle)
        if syntax.deflated:
            raise UnreadPictureError("frames of a deflated file are not read")
        for element in read_elements(handle, syntax):
            if element.values and element.tag in (0x00280002, 0x00280008, 0x00280010, 0x00280011):
                numbers.setdefault(element.tag, int(element.values[0]))
            if element.tag == 0x7FE00010:
                break
        else:
            return
    if numbers.get(0x00280010, 0) * numbers.get(0x00280011, 0) * numbers.get(0x00280002, 1) > _LARGEST:
        raise UnreadPictureError("the picture is too large")
    count = numbers.get(0x00280008, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for index, pixels in enumerate(iter_pixels(path)):
            yield Frame("a frame", _gray(pixels), index in (0, count // 2, count - 1))


def _picture(data: bytes, location: str) -> Iterator[Frame]:
    from PIL import Image, ImageSequence

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            if image.size[0] * image.size[1] > _LARGEST:
                raise UnreadPictureError("the picture is too large")
            for index, frame in enumerate(ImageSequence.Iterator(image)):
                rgba = frame.convert("RGBA")
                on_black = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
                if min(rgba.size) >= _SMALLEST:
                    yield Frame(location, _gray(np.asarray(on_black)), index % _CLIP_OF_ARRAY == 0)


def _viewing_copy(path: Path) -> Iterator[Frame]:
    """Yield every picture of a viewing copy; the first, middle and last are also read turned."""
    with path.open("rb") as handle:
        pictures = read_pictures(handle)
        count = len(json.loads(next(pictures))["length"])
        for index, data in enumerate(pictures):
            turned = index in (0, count // 2, count - 1)
            yield from (replace(frame, turned=turned) for frame in _picture(data, "a picture of a viewing copy"))


def _page(path: Path) -> Iterator[Frame]:
    """Yield the pictures that a page holds as data URIs."""
    if path.stat().st_size > _PAGE:
        raise UnreadPictureError("the page is too large")
    with path.open("rb") as handle:
        pieces: list[bytes] = []
        for piece in embedded_files(read_blocks(handle)):
            if piece != b"\0":
                pieces.append(piece)
                continue
            if (data := b"".join(pieces)).startswith(_PICTURE):
                yield from _picture(data, "a picture in the page")
            pieces.clear()


def distinct(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield each frame whose pixels did not occur before."""
    hashes: set[bytes] = set()
    for frame in frames:
        digest = hashlib.sha256(np.ascontiguousarray(frame.pixels).tobytes()).digest()
        if digest not in hashes:
            hashes.add(digest)
            yield frame
