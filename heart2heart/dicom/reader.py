"""Opens one DICOM file: its header, the offset of its pixel data, and whether its SOP class is ultrasound.

PS3.10 section 7.1 requires the 128-byte preamble, but archives hold files without it. Such a file is read if its first
elements are DICOM. A memory map leaves the bytes on disk.
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

from heart2heart.dicom.header_values import DECODE_ERRORS, silence_warnings, text
from heart2heart.errors import DicomError
from heart2heart.schema.status import ClipFlag, StatusCode

_MAX_INFLATED_BYTES = 2**30  # limit for an inflated file
_MAX_INFLATION = 100  # inflated bytes per deflated byte; echo clips reach some tens
_SMALL = 2**26  # inflated bytes below which the ratio does not matter
_PIECE = 2**22  # bytes inflated at once


@dataclass(frozen=True)
class OpenDicom:
    """One DICOM file, open.

    Attributes:
        header: All elements before the pixel data. They hold identity, so only `deidentify` may read them.
        syntax: Transfer syntax UID; if the file states none, the one in which its elements are encoded.
        data: Bytes to which `pixel_data_offset` refers.
        pixel_data_offset: Offset of the element (7FE0,0010), or of the end of what could be read.
        explicit_vr: Whether elements carry their VR.
        big_endian: Byte order of elements outside the encapsulated pixels.
        flags: `no_preamble` if the preamble is missing.
    """

    header: Dataset
    syntax: str
    data: mmap.mmap | bytes
    pixel_data_offset: int
    explicit_vr: bool
    big_endian: bool
    flags: tuple[ClipFlag, ...]


@contextmanager
def open_dicom(path: Path) -> Iterator[OpenDicom]:
    """Open the file at `path`.

    Raises:
        DicomError: `failed:unreadable`, `failed:empty`, `excluded:not_dicom`, `failed:header` or `failed:bounds`.
    """
    with _mapped(path) as data, silence_warnings():
        yield _parse(data)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
            raise DicomError("this is not a regular file", code=StatusCode.FAILED_UNREADABLE)
        if status.st_size == 0:
            raise DicomError("the file has no bytes", code=StatusCode.FAILED_EMPTY)
        with path.open("rb") as handle:
            data = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "unknown")
        raise DicomError(f"the file cannot be read ({reason})", code=StatusCode.FAILED_UNREADABLE) from None
    try:
        yield data
    finally:
        data.close()


def _parse(data: mmap.mmap) -> OpenDicom:
    flags: tuple[ClipFlag, ...] = () if data[128:132] == b"DICM" else (ClipFlag.NO_PREAMBLE,)
    if flags and data[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):  # groups 0002 and 0008, either byte order
        raise DicomError("this is not a DICOM file", code=StatusCode.EXCLUDED_NOT_DICOM)
    source: mmap.mmap | bytes = data
    try:
        # pydicom inflates without a limit, so a deflated file is recognised first.
        syntax, start = _read_meta(data)
        if syntax == DeflatedExplicitVRLittleEndian:
            source = _inflate(data, start)
        view = io.BytesIO(source) if isinstance(source, bytes) else cast(BinaryIO, data)
        header: Dataset = dcmread(view, force=True, stop_before_pixels=True)
        at = view.tell()
        syntax = syntax or str(header.file_meta.get("TransferSyntaxUID", ""))
    except DicomError:
        raise
    except DECODE_ERRORS as error:
        what = f"the header cannot be read ({type(error).__name__})"
        raise DicomError(what, code=StatusCode.FAILED_HEADER) from None
    if flags and "SOPClassUID" not in header and "Rows" not in header:
        raise DicomError("this is not a DICOM file", code=StatusCode.EXCLUDED_NOT_DICOM)
    implicit, little = header.original_encoding
    if not syntax:
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return OpenDicom(header, syntax, source, at, not implicit, not little, flags)


def _read_meta(data: mmap.mmap) -> tuple[str, int]:
    """Return the transfer syntax UID that the file meta information states, and the offset of its end (PS3.10 7.1)."""
    at, syntax = (132 if data[128:132] == b"DICM" else 0), ""
    while data[at : at + 2] == b"\x02\x00" and at + 8 <= len(data):
        element = data[at + 2 : at + 4]
        vr, value = data[at + 4 : at + 6], at + 8
        if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR"):
            length, value = int.from_bytes(data[at + 8 : at + 12], "little"), at + 12
        elif vr.isalpha() and vr.isupper():
            length = int.from_bytes(data[at + 6 : at + 8], "little")
        else:  # implicit VR, which some writers use here too
            length = int.from_bytes(data[at + 4 : at + 8], "little")
        if element == b"\x10\x00":
            syntax = data[value : value + min(length, 64)].decode("ascii", "replace").strip("\0 ")
        at = value + length
    return syntax, min(at, len(data))


def _inflate(data: mmap.mmap, start: int) -> bytes:
    """Inflate the dataset of a deflated file (PS3.5 section A.5) that begins at `start`, piece by piece to a limit.

    Raises:
        DicomError: `failed:bounds` beyond the limit.
    """
    limit = min(_MAX_INFLATED_BYTES, max(_SMALL, _MAX_INFLATION * len(data)))
    stream, plain = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    for first in range(start, len(data), _PIECE):
        waiting = data[first : first + _PIECE]
        while waiting and not stream.eof:
            plain += stream.decompress(waiting, _PIECE)
            waiting = stream.unconsumed_tail
            if len(plain) > limit:
                raise DicomError("the file inflates beyond the limit", code=StatusCode.FAILED_BOUNDS)
    return bytes(plain)


ULTRASOUND_SOP_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.3.1",  # US multi-frame
        "1.2.840.10008.5.1.4.1.1.6.1",  # US
        "1.2.840.10008.5.1.4.1.1.3",  # US multi-frame, retired
        "1.2.840.10008.5.1.4.1.1.6",  # US, retired
    }
)

_OTHER_SOP_CLASSES = {
    "1.2.840.10008.1.3.10": (StatusCode.EXCLUDED_DICOMDIR, "this is a DICOMDIR, an index of other files"),
    "1.2.840.10008.5.1.4.1.1.6.2": (StatusCode.EXCLUDED_VOLUME, "this is an Enhanced US Volume"),
    "1.2.840.113543.6.6.1.3.10002": (StatusCode.EXCLUDED_VOLUME, "this is a private 3D volume"),
}

_OTHER_SOP_FAMILIES = (
    ("1.2.840.10008.5.1.4.1.1.7", StatusCode.EXCLUDED_SECONDARY_CAPTURE, "this is a secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.88.", StatusCode.EXCLUDED_STRUCTURED_REPORT, "this is a structured report"),
)

_PRIVATE_VOLUMES = ("GEMS_ULTRASOUND_MOVIEGROUP", "KRETZ_US")


def require_ultrasound(header: Dataset, *, has_pixels: bool) -> None:
    """Raise an error unless the file is an ultrasound clip or still.

    Args:
        header: The file's dataset as read.
        has_pixels: Whether the file has the element (7FE0,0010).

    Raises:
        DicomError: `excluded:...` for other kinds of files, `failed:no_pixels` for a clip without pixel data.
    """
    kind = text(header, "SOPClassUID") or text(
        header.file_meta, "MediaStorageSOPClassUID"
    )  # a DICOMDIR has only this one
    if kind in _OTHER_SOP_CLASSES:
        code, what = _OTHER_SOP_CLASSES[kind]
        raise DicomError(what, code=code)
    for family, code, what in _OTHER_SOP_FAMILIES:
        if kind == family or kind.startswith(family if family.endswith(".") else family + "."):
            raise DicomError(what, code=code)
    if kind not in ULTRASOUND_SOP_CLASSES and not (kind == "" and text(header, "Modality") == "US"):
        raise DicomError("this is not an ultrasound image", code=StatusCode.EXCLUDED_NOT_ULTRASOUND)
    if not has_pixels:
        if _is_private_volume(header):
            raise DicomError("this holds only a private 3D volume", code=StatusCode.EXCLUDED_VOLUME)
        raise DicomError("the file holds no pixel data", code=StatusCode.FAILED_NO_PIXELS)


def _is_private_volume(header: Dataset) -> bool:
    creators = (text(header, tag).upper() for tag in sorted(header.keys()) if tag.is_private_creator)
    return any(creator.startswith(_PRIVATE_VOLUMES) for creator in creators)
