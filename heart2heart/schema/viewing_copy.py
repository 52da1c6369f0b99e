"""The file of a viewing copy: the pictures of one clip at full size, in colour and time, for persons who label.

The layout: eight bytes `H2HVIEW1`; the length of the header, four bytes, little endian; the header as JSON; the JPEG
files of all frames, back to back; and the SHA-256 of all bytes before it. The header holds the length and the CRC-32
of each frame, so that a frame is read and checked without the rest. The header holds no identity.
"""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, StoreError

VIEWING_FOLDER = "viewing"
"""Name of the folder in a store."""
VIEWING_SUFFIX = ".h2hview"
VIEWING_MAGIC = b"H2HVIEW1"
DIGEST_BYTES = 32
"""Length of the SHA-256 at the end of a file."""
MAX_HEADER_BYTES = 2**22
MAX_COPY_BYTES = 2**28
"""Size of the largest viewing copy that is written or read."""
MAX_SIDE = 2048
"""Largest width and height, pixels."""
MAX_FRAMES = 20_000

_LENGTH = struct.Struct("<I")
PREFIX_BYTES = len(VIEWING_MAGIC) + _LENGTH.size
"""Length of what comes before the header."""


class ViewingHeader(Config):
    """The header of a viewing copy.

    Examples:
        >>> header = ViewingHeader(
        ...     clip="4f1d", width=64, height=48, colour=False, spacing_mm=0.5, index=(0, 1), time_ms=(0.0, 33.3),
        ...     length=(900, 910), crc32=(1, 2),
        ... )
        >>> header.span(1, 1)
        (900, 1810)
    """

    schema_version: Literal[1] = 1
    """Version of the layout."""
    clip: str = Field(min_length=1, max_length=200)
    """Pseudonym of the clip."""
    width: int = Field(ge=1, le=MAX_SIDE)
    """Columns of a picture; pixels are square."""
    height: int = Field(ge=1, le=MAX_SIDE)
    """Rows of a picture."""
    colour: bool
    """Whether the pictures hold colour."""
    spacing_mm: float | None = Field(default=None, gt=0, le=100)
    """Millimetres of a pixel, along both sides; None where the file does not state it."""
    index: tuple[int, ...] = Field(min_length=1, max_length=MAX_FRAMES)
    """Number of each picture in the recording, from 0, ascending."""
    time_ms: tuple[float, ...] | None = Field(default=None, max_length=MAX_FRAMES)
    """Time of each picture from the first frame, milliseconds; None where the file does not state it."""
    length: tuple[int, ...] = Field(max_length=MAX_FRAMES)
    """Bytes of each picture."""
    crc32: tuple[int, ...] = Field(max_length=MAX_FRAMES)
    """CRC-32 of the bytes of each picture."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        columns = [self.length, self.crc32, *([] if self.time_ms is None else [self.time_ms])]
        if any(len(column) != len(self.index) for column in columns):
            raise ValueError("the columns of the header differ in length")
        if self.index[0] < 0 or any(second <= first for first, second in pairwise(self.index)):
            raise ValueError("the frames are not in order")
        if any(not 1 <= length <= MAX_COPY_BYTES for length in self.length) or sum(self.length) > MAX_COPY_BYTES:
            raise ValueError("the pictures are too large")
        return self

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return start and end of the bytes of some pictures, counted from the first picture's start.

        Args:
            first: Position of the first picture, from 0.
            last: Position of the last one, inclusive.
        """
        start = sum(self.length[:first])
        return start, start + sum(self.length[first : last + 1])

    def pack(self) -> bytes:
        """Return the bytes that come before the first picture."""
        text = self.model_dump_json().encode()
        return VIEWING_MAGIC + _LENGTH.pack(len(text)) + text


def header_bytes(prefix: bytes) -> int:
    """Return the length of the header, from the first bytes of a file.

    Raises:
        StoreError: the file is no viewing copy.

    Examples:
        >>> header_bytes(b"H2HVIEW1" + bytes([7, 0, 0, 0]))
        7
    """
    if len(prefix) != PREFIX_BYTES or not prefix.startswith(VIEWING_MAGIC):
        raise StoreError("this is no viewing copy")
    (length,) = _LENGTH.unpack(prefix[len(VIEWING_MAGIC) :])
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise StoreError("the header of this viewing copy is too long")
    return int(length)


def parse_header(text: bytes) -> ViewingHeader:
    """Return the header of a viewing copy.

    Raises:
        StoreError: it is damaged.

    Examples:
        >>> parse_header(b"{}")
        Traceback (most recent call last):
        heart2heart.errors.StoreError: the header of this viewing copy is damaged
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("no mapping")
        return ViewingHeader.parse(content, where="viewing copy")
    except (ValueError, RecursionError, ConfigError):
        raise StoreError("the header of this viewing copy is damaged") from None
