"""Reads the viewing copies of a store: a header and JPEG files, each checked like a picture file.

It reads the layout by itself, sharing no code with the package that writes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import IO

MAGIC = b"H2HVIEW1"
_MAX_HEADER = 2**22  # bytes
_MAX_PICTURE = 2**26  # bytes
_DIGEST = 32  # bytes at the end


def is_viewing_copy(first: bytes) -> bool:
    """Return whether a file is a viewing copy, by its first bytes."""
    return first.startswith(MAGIC)


def read_pictures(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield the header, and then the JPEG file of each picture.

    Args:
        handle: The file, at its beginning.

    Raises:
        ValueError: the file is damaged, or holds bytes that no picture accounts for.
    """
    handle.seek(len(MAGIC))
    (length,) = struct.unpack("<I", handle.read(4))
    header = handle.read(min(length, _MAX_HEADER))
    yield header
    sizes = json.loads(header)["length"]
    for size in sizes:
        if not isinstance(size, int) or not 0 < size <= _MAX_PICTURE:
            raise ValueError("the length of a picture is not valid")
        data = handle.read(size)
        if len(data) != size or not data.startswith(b"\xff\xd8\xff"):
            raise ValueError("a picture is cut short, or no JPEG")
        yield data
    if len(handle.read(_DIGEST + 1)) != _DIGEST:
        raise ValueError("bytes beyond the pictures")
