"""Everything that a file holds: its name, its raw bytes, and what they say once unpacked or decoded."""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import json
import re
import sqlite3
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DATA_URI = re.compile(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=\s]+)")
_DAMAGE = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Content:
    """One thing in a file.

    Attributes:
        place: Where in the file, such as `raw bytes` or `column patient`.
        data: UTF-8 text, or bytes.
        binary: Whether `data` are bytes that are not text.
    """

    place: str
    data: bytes
    binary: bool = False


def contents(path: Path, name: str) -> Iterator[Content]:
    """Yield what a file holds, its `name` first."""
    yield Content("file name", name.encode("utf-8", "surrogateescape"))
    yield from unpacked(path.read_bytes(), path)


def unpacked(raw: bytes, path: Path | None = None) -> Iterator[Content]:
    """Yield `raw` and what it decodes to, by its first bytes, whatever the file is called.

    Args:
        raw: The bytes.
        path: Where they lie on disk, or None for a part of another file.
    """
    packed = b"\0" in raw[:4096] or raw[:4] in (b"PAR1", b"PK\x03\x04") or raw[:2] == b"\x1f\x8b"
    yield Content("raw bytes", raw, packed)
    try:
        if raw[:4] == b"PAR1":
            yield from _parquet(raw)
        elif raw[:15] == b"SQLite format 3" and path is not None:
            yield from _sqlite(path)
        elif raw[:4] == b"PK\x03\x04":
            yield from _zip(raw)
        elif raw[:2] == b"\x1f\x8b":
            yield Content("unpacked", gzip.decompress(raw))
        elif raw[128:132] == b"DICM":
            yield from _dicom(raw)
        elif not packed:
            yield from _text(raw)
    except (*_DAMAGE, sqlite3.Error, zipfile.BadZipFile, zlib.error):
        return  # what cannot be decoded was still searched as it stands


def _parquet(raw: bytes) -> Iterator[Content]:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(raw))
    yield Content("metadata", b"\n".join(part for item in (table.schema.metadata or {}).items() for part in item))
    for field in table.schema:
        values = table[field.name].combine_chunks()
        if str(field.type) == "binary":
            for value in values.to_pylist():
                yield Content(f"column {field.name}", value or b"", binary=True)
        else:
            plain = values.to_pylist() if field.type.num_fields else values.unique().to_pylist()
            yield Content(f"column {field.name}", "\n".join(map(str, plain)).encode("utf-8", "surrogateescape"))


def _sqlite(path: Path) -> Iterator[Content]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            quoted = name.decode().replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')
            values = (value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
            yield Content(f"table {name.decode()}", b"\n".join(values))


def _zip(raw: bytes) -> Iterator[Content]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in archive.infolist():
            yield Content("file name in the archive", member.filename.encode())
            for content in unpacked(archive.read(member)):
                yield Content(f"archive, {content.place}", content.data, content.binary)


def _dicom(raw: bytes) -> Iterator[Content]:
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(io.BytesIO(raw), force=True)
        for part in (dataset.file_meta, dataset):
            for element in part.iterall():
                if element.tag != 0x7FE00010 and element.VR != "SQ":
                    data = element.value if isinstance(element.value, bytes) else str(element.value).encode()
                    yield Content(str(element.tag), data, binary=isinstance(element.value, bytes))


def _text(raw: bytes) -> Iterator[Content]:
    if raw.lstrip()[:1] in (b"{", b"["):
        yield Content("decoded JSON", _decoded(raw))
    if b"&" in raw:
        yield Content("decoded HTML", html.unescape(raw.decode("utf-8", "replace")).encode())
    for number, found in enumerate(_DATA_URI.finditer(raw), start=1):
        try:
            picture = base64.b64decode(found[1])
        except binascii.Error:
            continue
        yield Content(f"embedded file {number}", picture, binary=True)


def _decoded(raw: bytes) -> bytes:
    """Undo JSON's escapes, of a whole document or of one document a line."""
    try:
        documents: list[Any] = [json.loads(raw)]
    except json.JSONDecodeError:
        documents = [json.loads(line) for line in raw.splitlines() if line.strip()]
    return json.dumps(documents, ensure_ascii=False).encode("utf-8", "surrogateescape")
