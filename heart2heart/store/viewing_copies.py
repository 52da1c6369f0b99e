"""Writes, reads and checks the viewing copies of a store: one file a clip, beside the shards.

A viewing copy serves persons who label. Nothing is computed from it: training, evaluation and the store's digest use
the frames alone. A store without copies, or with a missing or damaged one, works as before.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.viewing_copy import (
    DIGEST_BYTES,
    PREFIX_BYTES,
    VIEWING_FOLDER,
    VIEWING_SUFFIX,
    ViewingHeader,
    header_bytes,
    parse_header,
)
from heart2heart.utils import atomic_path

_CLIP_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,199}")
_BLOCK = 2**20


@dataclass(frozen=True)
class ViewingPictures:
    """The pictures of a clip before they are written.

    Attributes:
        width: Columns of a picture.
        height: Rows of a picture.
        colour: Whether the pictures hold colour.
        spacing_mm: Millimetres of a pixel, along both sides; None: not known.
        index: Number of each picture in the recording.
        time_ms: Time of each picture, milliseconds; None: not known.
        jpegs: The JPEG file of each picture.
    """

    width: int
    height: int
    colour: bool
    spacing_mm: float | None
    index: tuple[int, ...] = field(repr=False)
    time_ms: tuple[float, ...] | None = field(repr=False)
    jpegs: tuple[bytes, ...] = field(repr=False)

    def header(self, clip: str) -> ViewingHeader:
        """Return the header of the file of a clip."""
        return ViewingHeader(
            clip=clip,
            width=self.width,
            height=self.height,
            colour=self.colour,
            spacing_mm=self.spacing_mm,
            index=self.index,
            time_ms=self.time_ms,
            length=tuple(map(len, self.jpegs)),
            crc32=tuple(map(zlib.crc32, self.jpegs)),
        )


def viewing_path(root: Path, clip: str) -> Path:
    """Return the file of a clip's viewing copy, whether it exists or not.

    Args:
        root: Folder of the store.
        clip: Pseudonym of the clip, from a table of the store.

    Raises:
        StoreError: the pseudonym cannot be the name of a file.
    """
    if _CLIP_NAME.fullmatch(clip) is None:
        raise StoreError("the pseudonym of a clip is no name of a file", where=root)
    return root / VIEWING_FOLDER / f"{clip}{VIEWING_SUFFIX}"


def write_viewing_copy(root: Path, clip: str, pictures: ViewingPictures | None) -> None:
    """Write the viewing copy of a clip; without pictures, remove an older one.

    Args:
        root: Folder of the store.
        clip: Pseudonym of the clip.
        pictures: The pictures, or None.

    Raises:
        NoSpaceError: the disk is full.
    """
    target = viewing_path(root, clip)
    if pictures is None:
        target.unlink(missing_ok=True)
        return
    digest = hashlib.sha256()
    with atomic_path(target) as path, path.open("wb") as handle:
        for part in (pictures.header(clip).pack(), *pictures.jpegs):
            digest.update(part)
            handle.write(part)
        handle.write(digest.digest())


class ViewingCopy:
    """One viewing copy on disk; only the header is read at first.

    Args:
        path: The file.
        clip: Pseudonym of the clip that it must show.

    Attributes:
        header: The header.

    Raises:
        MissingInputError: there is no such file.
        StoreError: the file is damaged, or of another clip.
    """

    def __init__(self, path: Path, clip: str) -> None:
        self._path = path
        with self._open() as handle:
            length = header_bytes(handle.read(PREFIX_BYTES))
            self.header = parse_header(handle.read(length))
        self._start = PREFIX_BYTES + length
        size = self._start + sum(self.header.length) + DIGEST_BYTES
        if self.header.clip != clip or path.stat().st_size != size:
            raise StoreError("this viewing copy is cut short, or of another clip", where=path)

    def _open(self) -> IO[bytes]:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            raise MissingInputError("this clip has no viewing copy") from None
        except OSError as error:
            raise StoreError(f"this viewing copy cannot be read ({error.strerror})") from None

    def pictures(self, first: int, last: int) -> bytes:
        """Return the JPEG files of some pictures, back to back; nothing else is read.

        Args:
            first: Position of the first picture, from 0.
            last: Position of the last one, inclusive.

        Raises:
            MissingInputError: there is no such picture.
            StoreError: a picture is damaged.
        """
        if not 0 <= first <= last < len(self.header.index):
            raise MissingInputError("this viewing copy has no such picture")
        start, end = self.header.span(first, last)
        with self._open() as handle:
            handle.seek(self._start + start)
            data = handle.read(end - start)
        offset = 0
        for length, crc in zip(self.header.length[first : last + 1], self.header.crc32[first : last + 1], strict=True):
            if zlib.crc32(data[offset : offset + length]) != crc:
                raise StoreError("a picture of this viewing copy is damaged")
            offset += length
        return data

    def is_intact(self) -> bool:
        """Return whether the whole file matches its SHA-256."""
        digest, left = hashlib.sha256(), self._path.stat().st_size - DIGEST_BYTES
        with self._open() as handle:
            while left > 0 and (block := handle.read(min(_BLOCK, left))):
                digest.update(block)
                left -= len(block)
            return handle.read() == digest.digest()


def viewing_faults(root: Path, clips: Iterable[str]) -> Iterator[str]:
    """Yield a line for each damaged viewing copy of some clips; a missing copy is no fault.

    Args:
        root: Folder of the store.
        clips: Pseudonyms of the clips.
    """
    if not (root / VIEWING_FOLDER).is_dir():
        return
    for clip in clips:
        try:
            path = viewing_path(root, clip)
            if path.exists() and not ViewingCopy(path, clip).is_intact():
                yield f"viewing copy of {clip}: differs from its checksum"
        except (StoreError, OSError):
            yield f"viewing copy of {clip}: cannot be read"


def stale_viewing_copies(root: Path, clips: Iterable[str]) -> list[Path]:
    """Return the viewing copies of clips that the store does not hold.

    Args:
        root: Folder of the store.
        clips: Pseudonyms of all clips of the store.
    """
    kept = frozenset(clips)
    return [path for path in (root / VIEWING_FOLDER).glob(f"*{VIEWING_SUFFIX}") if path.stem not in kept]
