"""Lists the contents of a file: its name, its raw bytes, and the decoded or unpacked forms of them.

Large files are read in overlapping blocks, so that matches across a boundary are found and memory stays bounded.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import html
import io
import re
import shutil
import sqlite3
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

BLOCK = 4 * 2**20  # bytes
_URI = re.compile(rb"data:[\w/+.-]{1,100};base64,")
_LONGEST_URI = 128  # bytes of the start of a data URI
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/\s]")
_ENTITY = 40  # bytes; the longest named character reference has 33
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LONGEST_ESCAPE = 12
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}
_CONTEXT = 1024  # bytes kept from the block before


def read_blocks(handle: IO[bytes]) -> Iterator[bytes]:
    """Yield everything in `handle` from its beginning, at most `BLOCK` bytes at a time."""
    handle.seek(0)
    while block := handle.read(BLOCK):
        yield block


def stream_blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks of at least `BLOCK` (the last may be shorter) and less than twice that."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            piece = chunk[start : start + BLOCK]
            held.append(piece)
            size += len(piece)
            if size >= BLOCK:
                yield b"".join(held)
                held, size = [], 0
    if held:
        yield b"".join(held)


def unescaped_json(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the text with its JSON escapes decoded."""
    held = b""
    for block in stream_blocks(chunks):
        held += block
        cut = held.rfind(b"\\", max(0, len(held) - _LONGEST_ESCAPE))
        # Cut before a whole run of backslashes, since one may escape the next, and before a surrogate pair.
        while cut > 0 and held[cut - 1 : cut] == b"\\":
            cut -= 1
        if cut >= 6 and re.fullmatch(rb"\\u[dD][89abAB][0-9a-fA-F]{2}", held[cut - 6 : cut]):
            cut -= 6
        cut = len(held) if cut < 0 else cut
        yield _ESCAPE.sub(_plain, held[:cut])
        held = held[cut:]
    yield _ESCAPE.sub(_plain, held)


def _plain(escape: re.Match[bytes]) -> bytes:
    code = escape[0][1:]
    if code[:1] != b"u" or len(code) < 5:
        return _PLAIN.get(code, code)
    units = bytes.fromhex("".join(part.decode() for part in code.split(b"\\u") if part).removeprefix("u"))
    return units.decode("utf-16-be", "replace").encode("utf-8", "replace")


def unescaped_html(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a text that hold HTML character references, with the references decoded."""
    held = before = b""
    for block in stream_blocks(chunks):
        held += block
        cut = held.rfind(b"&", max(0, len(held) - _ENTITY))
        cut = len(held) if cut < 0 else cut
        yield from _html(before, held[:cut])
        before, held = (before + held[:cut])[-_CONTEXT:], held[cut:]
    yield from _html(before, held)


def _html(before: bytes, block: bytes) -> Iterator[bytes]:
    if b"&" in block:
        yield html.unescape((before + block).decode("utf-8", "replace")).encode()


def embedded_files(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of every file that a text holds as a base64 data URI, in order."""
    held, within = b"", False
    for block in stream_blocks(chunks):
        held += block
        while held:
            if not within:
                uri = _URI.search(held)
                within = uri is not None
                held = held[-_LONGEST_URI:] if uri is None else held[uri.end() :]
                if uri is None:
                    break
                continue
            end = _NOT_BASE64.search(held)
            letters = b"".join(held[: len(held) if end is None else end.start()].split())
            whole = len(letters) // 4 * 4
            yield _base64(letters[:whole])
            if end is None:
                held = letters[whole:]
                break
            yield _base64(letters[whole:] + b"=" * (-len(letters) % 4)) + b"\0"
            held, within = held[end.start() :], False
    if within:
        yield _base64(held + b"=" * (-len(held) % 4))


def _base64(letters: bytes) -> bytes:
    try:
        return base64.b64decode(letters)
    except binascii.Error:
        return b""


_READ_ERRORS = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_IN_MEMORY = 16 * 2**20  # bytes; larger members are unpacked to a temporary file
_MAX_DEPTH = 5  # archives within archives
_DEFERRED = 16 * 2**20  # bytes; of a longer DICOM element only the raw bytes are searched
_ROWS = 2**16


@dataclass(frozen=True)
class Artefact:
    """One content of a file.

    Attributes:
        location: Location in the file, such as `raw bytes` or `column patient`.
        blocks: UTF-8 text, or bytes, in consecutive blocks. Read them once, before the next artefact is requested.
        binary: Whether the bytes are not text.
    """

    location: str
    blocks: Iterable[bytes] = field(repr=False)
    binary: bool = False


def read_artefacts(path: Path, name: str) -> Iterator[Artefact]:
    """Yield the contents of a file, its `name` first; memory does not grow with the file."""
    yield Artefact("file name", (name.encode("utf-8", "surrogateescape"),))
    with path.open("rb") as handle:
        yield from _unpacked(handle, path, 0)


def _unpacked(handle: IO[bytes], path: Path | None, depth: int) -> Iterator[Artefact]:
    """Yield the bytes of `handle` and their decoded forms; the first bytes, not the file name, decide the format."""
    first = handle.read(4096)
    packed = b"\0" in first or first[:4] in (b"PAR1", b"PK\x03\x04") or first[:2] == b"\x1f\x8b"
    yield Artefact("raw bytes", read_blocks(handle), packed)
    handle.seek(0)
    try:
        if first[:4] == b"PAR1":
            yield from _parquet(handle)
        elif first[:15] == b"SQLite format 3" and path is not None:
            yield from _sqlite(path)
        elif first[:4] == b"PK\x03\x04" and depth < _MAX_DEPTH:
            yield from _zip(handle, depth)
        elif first[:2] == b"\x1f\x8b" and depth < _MAX_DEPTH:
            with io.BufferedReader(gzip.GzipFile(fileobj=handle)) as plain:
                yield from _member(plain, "unpacked", depth)
        elif first[128:132] == b"DICM":
            yield from _dicom(handle)
        elif not packed:
            if first.lstrip()[:1] in (b"{", b"["):
                yield Artefact("decoded JSON", unescaped_json(read_blocks(handle)))
            yield Artefact("decoded HTML", unescaped_html(read_blocks(handle)))
            yield Artefact("embedded files", embedded_files(read_blocks(handle)), binary=True)
    except (*_READ_ERRORS, sqlite3.Error, zipfile.BadZipFile, zlib.error):
        return  # the raw bytes were searched already


def _parquet(handle: IO[bytes]) -> Iterator[Artefact]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(handle)
    schema = table.schema_arrow
    yield Artefact("metadata", (part + b"\n" for item in (schema.metadata or {}).items() for part in item))
    yield Artefact("names of columns", ("\n".join(schema.names).encode(),))
    for column in schema:
        yield Artefact(f"column {column.name}", _column(table, column), str(column.type) == "binary")


def _column(table: pq.ParquetFile, column: pa.Field[pa.DataType]) -> Iterator[bytes]:
    for batch in table.iter_batches(_ROWS, columns=[column.name]):
        values = batch.column(0)
        plain = values.to_pylist() if column.type.num_fields else values.unique().to_pylist()
        for value in plain:
            yield (value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")) + b"\n"


def _sqlite(path: Path) -> Iterator[Artefact]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            quoted = name.decode().replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')
            values = (value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
            yield Artefact(f"table {name.decode()}", (value + b"\n" for value in values))


def _zip(handle: IO[bytes], depth: int) -> Iterator[Artefact]:
    with zipfile.ZipFile(handle) as archive:
        for member in archive.infolist():
            yield Artefact("file name in the archive", (member.filename.encode("utf-8", "surrogateescape"),))
            with archive.open(member) as plain:
                yield from _member(plain, "archive", depth)


def _member(plain: IO[bytes], location: str, depth: int) -> Iterator[Artefact]:
    """Unpack one member to a temporary file, so that it can be read more than once."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        shutil.copyfileobj(plain, copy, _IN_MEMORY // 4)
        copy.seek(0)
        for artefact in _unpacked(copy, None, depth + 1):
            yield Artefact(f"{location}, {artefact.location}", artefact.blocks, artefact.binary)


def _dicom(handle: IO[bytes]) -> Iterator[Artefact]:
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(handle, force=True, defer_size=_DEFERRED)
        for part in (dataset.file_meta, dataset):
            for element in _elements(part):
                value = element.value
                data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
                yield Artefact(str(element.tag), (data,), binary=isinstance(value, bytes))


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    for tag in sorted(dataset.keys()):
        if tag == 0x7FE00010 or dataset.get_item(tag, keep_deferred=True).value is None:
            continue  # pixels; or nothing; or too long to be read at once
        element = dataset[tag]
        if element.VR != "SQ":
            yield element
        else:
            for item in element.value:
                yield from _elements(item)
