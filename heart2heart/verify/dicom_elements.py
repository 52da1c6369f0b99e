"""Reads the elements of a DICOM file one by one, without pydicom's conversion of values (PS3.5 chapter 7).

The reader descends into sequences, so that memory does not grow with them. It goes on after an element whose value does
not fit its VR, and reports the element. Long values are not held: their offset and length are returned.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_WHOLE_TEXTS = frozenset({"LT", "ST", "UT", "UR"})  # a backslash does not separate values
_UNDEFINED = 0xFFFFFFFF
_ITEM_GROUP = 0xFFFE
_PIXELS = 0x7FE00010
_HELD = 2**20  # bytes of a value that are read at once
_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class DicomReadError(ValueError):
    """The elements of a file cannot be followed further."""


@dataclass(frozen=True)
class DicomElement:
    """One element.

    Attributes:
        tag: Tag number.
        vr: Value representation.
        values: Values as text; for bytes none.
        raw: Bytes of the value; empty when it is long.
        offset: Offset of the value in the file.
        length: Length of the value, bytes.
        damaged: Whether the value does not fit the VR.
    """

    tag: int
    vr: str
    values: tuple[str, ...]
    raw: bytes
    offset: int
    length: int
    damaged: bool = False

    @property
    def name(self) -> str:
        """The tag as (gggg,eeee)."""
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"


@dataclass(frozen=True)
class Syntax:
    """Encoding of the elements.

    Attributes:
        explicit: Whether elements carry their VR.
        little: Whether numbers begin with the lowest byte.
        deflated: Whether the dataset is deflated.
        start: Offset of the dataset.
        uid: Transfer syntax UID; empty when the file states none.
    """

    explicit: bool
    little: bool
    deflated: bool
    start: int
    uid: str


def looks_like_dicom(first: bytes) -> bool:
    """Return whether the first bytes of a file begin a DICOM file, with or without preamble."""
    return first[128:132] == b"DICM" or first[:4] in (b"\x02\0\0\0", b"\x02\0\x01\0", b"\x08\0\0\0", b"\x08\0\x05\0",
                                                      b"\x08\0\x08\0", b"\x08\0\x16\0", b"\0\x08\0\x05",
                                                      b"\0\x08\0\x08", b"\0\x08\0\0", b"\0\x08\0\x16")  # fmt: skip


def read_syntax(handle: IO[bytes]) -> tuple[Syntax, list[DicomElement]]:
    """Return the encoding of a file, and the elements of its file meta information.

    Raises:
        DicomReadError: the file meta information is damaged.
    """
    handle.seek(0)
    start = 132 if handle.read(132)[128:] == b"DICM" else 0
    handle.seek(start)
    meta, uid = [], ""
    meta_syntax = Syntax(True, True, False, start, "")
    for element in read_elements(handle, meta_syntax, only_group=2):
        meta.append(element)
        start = element.offset + element.length
        if element.tag == 0x00020010:
            uid = element.values[0] if element.values else ""
    handle.seek(start)
    first = handle.read(8)
    little = uid != _BIG_ENDIAN and not (not uid and first[:1] == b"\0" and first[1:2] != b"\0")
    explicit = uid != _IMPLICIT and (bool(uid) or first[4:6].isalpha())
    return Syntax(explicit, little, uid == _DEFLATED, start, uid), meta


def read_elements(handle: IO[bytes], syntax: Syntax, *, only_group: int | None = None) -> Iterator[DicomElement]:
    """Yield every element from `syntax.start`, those in sequences after the element of the sequence.

    Args:
        handle: The file; the caller may read it elsewhere between two elements.
        syntax: Its encoding.
        only_group: Group after whose last element the reader stops.

    Raises:
        DicomReadError: an element's head or length is damaged.
    """
    size, at, encoding = handle.seek(0, 2), syntax.start, "latin-1"
    fragments = False
    while at + 8 <= size:
        handle.seek(at)
        head = handle.read(12)
        order = "<" if syntax.little else ">"
        group, number = struct.unpack(f"{order}HH", head[:4])
        tag = group << 16 | number
        if only_group is not None and group != only_group:
            return
        if group == _ITEM_GROUP:
            length = int(struct.unpack(f"{order}I", head[4:8])[0])
            at += 8
            if number == 0xE0DD:
                fragments = False
            elif fragments:
                at += length
            continue
        vr, length, value = _head(head, tag, order, explicit=syntax.explicit)
        if vr == "SQ" or length == _UNDEFINED:
            fragments = tag == _PIXELS or vr in ("OB", "OW")
            yield DicomElement(tag, vr, (), b"", at + value, 0)
            at += value
            continue
        if at + value + length > size:
            raise DicomReadError("cut short, or a length is damaged")
        at += value
        handle.seek(at)
        raw = handle.read(length) if length <= _HELD and tag != _PIXELS else b""
        element = _element(tag, vr, raw, at, length, order, encoding)
        if tag == 0x00080005:
            encoding = _encoding(element.values)
        yield element
        at += length
    if at != size and size - at < 8:
        raise DicomReadError("bytes after the last element")


def _head(head: bytes, tag: int, order: str, *, explicit: bool) -> tuple[str, int, int]:
    """Return VR, length of the value, and length of the head."""
    if explicit and head[4:6].isalpha() and head[4:6].isupper():
        vr = head[4:6].decode("ascii")
        if vr in _LONG_VRS:
            if len(head) < 12:
                raise DicomReadError("cut short, or a length is damaged")
            return vr, int(struct.unpack(f"{order}I", head[8:12])[0]), 12
        return vr, int(struct.unpack(f"{order}H", head[6:8])[0]), 8
    return _known_vr(tag), int(struct.unpack(f"{order}I", head[4:8])[0]), 8


def _known_vr(tag: int) -> str:
    """Return the VR of a tag by the data dictionary; private creators are LO, other unknown tags UN."""
    from pydicom.datadict import dictionary_VR

    if (tag >> 16) % 2 and 0x10 <= tag & 0xFFFF <= 0xFF:
        return "LO"
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


def _element(tag: int, vr: str, raw: bytes, at: int, length: int, order: str, encoding: str) -> DicomElement:
    code = _NUMBERS.get(vr)
    if code is not None:
        width = struct.calcsize(code)
        damaged = len(raw) % width != 0
        numbers = struct.unpack(f"{order}{len(raw) // width}{code}", raw[: len(raw) // width * width])
        return DicomElement(tag, vr, tuple(map(str, numbers)), raw, at, length, damaged)
    if vr == "AT":
        return DicomElement(tag, vr, (), raw, at, length, len(raw) % 4 != 0)
    if vr not in _TEXT_VRS:
        return DicomElement(tag, vr, (), raw, at, length)
    text = decode_text(raw, encoding)
    values = (text,) if vr in _WHOLE_TEXTS else tuple(text.split("\\"))
    stripped = tuple(value.strip("\0 \r\n\t") for value in values)
    return DicomElement(tag, vr, tuple(value for value in stripped if value), raw, at, length, length % 2 != 0)


_ENCODINGS = {
    "ISO_IR 13": "cp932", "ISO 2022 IR 13": "cp932", "ISO 2022 IR 87": "iso2022_jp_3",
    "ISO 2022 IR 159": "iso2022_jp_3",
    "ISO_IR 101": "iso8859-2", "ISO_IR 109": "iso8859-3", "ISO_IR 110": "iso8859-4", "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6", "ISO_IR 126": "iso8859-7", "ISO_IR 138": "iso8859-8", "ISO_IR 148": "iso8859-9",
    "ISO_IR 166": "tis-620", "ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk", "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 58": "gb2312",
}  # fmt: skip


def _encoding(charsets: tuple[str, ...]) -> str:
    """Return Python's encoding of (0008,0005); the last one named is used in ideographic groups."""
    names = [_ENCODINGS.get(name, _ENCODINGS.get(name.replace("ISO 2022 IR", "ISO_IR"), "")) for name in charsets]
    return next((name for name in reversed(names) if name), "latin-1")


def decode_text(raw: bytes, encoding: str) -> str:
    """Return the text of a value; bytes that its encoding does not know are read as UTF-8 or Latin-1."""
    for escape, name in ((b"\x1b$)C", "euc_kr"), (b"\x1b$)A", "gb2312")):
        if escape in raw:
            return raw.replace(escape, b"").decode(name, "replace")
    candidates = ("iso2022_jp_3", encoding) if b"\x1b$" in raw else (encoding, "utf-8")
    for name in candidates:
        try:
            return raw.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")
