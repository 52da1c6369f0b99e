"""Open one file: its header, and where its pixels begin. Nothing is loaded that is not asked for.

A file without the 128-byte preamble is read all the same when its first elements are DICOM (PS3.10 section 7.1 asks
for the preamble; archives hold files without it). The bytes stay on disk behind a memory map.
"""

from __future__ import annotations

import errno
import io
import mmap
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from heart2heart.dicom.faults import DAMAGE, hushed
from heart2heart.errors import DicomError

_LARGEST_INFLATED = 2**31  # bytes; a deflated file that grows beyond is refused


@dataclass(frozen=True)
class OpenFile:
    """One DICOM file, open.

    Attributes:
        header: Everything before the pixel data; it holds identity, and only `deidentify` may look into it.
        syntax: Transfer syntax UID; where the file does not say, the one its elements are encoded in.
        data: The bytes from which `pixels_at` counts.
        pixels_at: Offset of the element (7FE0,0010), or of the end of what could be read.
        explicit: Whether elements carry their VR.
        big_endian: Byte order of elements outside the encapsulated pixels.
        flags: `no_preamble`, if so.
    """

    header: Dataset
    syntax: str
    data: mmap.mmap | bytes
    pixels_at: int
    explicit: bool
    big_endian: bool
    flags: tuple[str, ...]


@contextmanager
def open_dicom(path: Path) -> Iterator[OpenFile]:
    """Open the file at `path`.

    Raises:
        DicomError: `failed:unreadable`, `failed:empty`, `excluded:not_dicom` or `failed:header`.
    """
    with _mapped(path) as data, hushed():
        yield _parse(data)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
            raise DicomError("this is not a regular file", code="failed:unreadable")
        if found.st_size == 0:
            raise DicomError("the file has no bytes", code="failed:empty")
        with path.open("rb") as handle:
            data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "unknown")
        raise DicomError(f"the file cannot be read ({reason})", code="failed:unreadable") from None
    try:
        yield data
    finally:
        data.close()


def _parse(data: mmap.mmap) -> OpenFile:
    flags: tuple[str, ...] = () if data[128:132] == b"DICM" else ("no_preamble",)
    if flags and data[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):  # groups 0002 and 0008, either byte order
        raise DicomError("this is not a DICOM file", code="excluded:not_dicom")
    source: mmap.mmap | bytes = data
    try:
        header: Dataset = dcmread(cast(BinaryIO, data), force=True, stop_before_pixels=True)
        at = data.tell()
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
        if syntax == DeflatedExplicitVRLittleEndian:
            header, at, source = _inflate(data, header)
    except DAMAGE as error:
        what = f"the header cannot be read ({type(error).__name__})"
        raise DicomError(what, code="failed:header") from None
    if flags and "SOPClassUID" not in header and "Rows" not in header:
        raise DicomError("this is not a DICOM file", code="excluded:not_dicom")
    implicit, little = header.original_encoding
    if not syntax:
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return OpenFile(header, syntax, source, at, not implicit, not little, flags)


def _inflate(data: mmap.mmap, deflated: Dataset) -> tuple[Dataset, int, bytes]:
    """Read a deflated file (PS3.5 section A.5): inflate what follows the file meta, bounded, and read that."""
    length = int(deflated.file_meta.FileMetaInformationGroupLength)
    start = (132 if data[128:132] == b"DICM" else 0) + 12 + length
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], _LARGEST_INFLATED)
    view = io.BytesIO(plain)
    return dcmread(view, force=True, stop_before_pixels=True), view.tell(), plain
