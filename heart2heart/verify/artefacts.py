"""Lists the contents of a file: its name, its raw bytes, and the decoded or unpacked forms of them.

Large files are read in overlapping blocks, so that matches across a boundary are found and memory stays bounded. A
content that cannot be read is listed too, with the reason.
"""

from __future__ import annotations

import codecs
import io
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO

from heart2heart.verify.containers import Member, archive_kind, compression, inflated_raw, members, unpacked
from heart2heart.verify.dicom_elements import (
    DicomElement,
    DicomReadError,
    Syntax,
    looks_like_dicom,
    read_elements,
    read_syntax,
)
from heart2heart.verify.documents import pdf_texts, picture_texts
from heart2heart.verify.limits import READ_ERRORS, Budget, LimitError
from heart2heart.verify.streams import (
    decoded_runs,
    embedded_files,
    read_blocks,
    unescaped_html,
    unescaped_json,
    wide_text,
)
from heart2heart.verify.tables import arrow_artefacts, npy_values, parquet_artefacts, sqlite_artefacts
from heart2heart.verify.viewing_copy import is_viewing_copy, read_pictures

_IN_MEMORY = 16 * 2**20  # bytes; larger members are unpacked to a temporary file
_MAX_DEPTH = 5  # archives within archives
_SHORT = 1024  # bytes of a value up to which it counts as text
_PACKED = (b"PAR1", b"PK\x03\x04", b"BZh", b"%PDF", b"\xff\xd8\xff", b"\x89PNG")


class ContentKind(StrEnum):
    """Kind of bytes, which decides how long a pattern must be so that it does not occur by chance."""

    TEXT = "text"
    BINARY = "binary"
    PIXELS = "pixels"


@dataclass(frozen=True)
class Artefact:
    """One content of a file.

    Attributes:
        location: Location in the file, such as `raw bytes` or `column patient`.
        blocks: UTF-8 text, or bytes, in consecutive blocks. Read them once, before the next artefact is requested.
        kind: Kind of bytes.
        unread: Why this content could not be read; None if it is read.
    """

    location: str
    blocks: Iterable[bytes] = field(repr=False)
    kind: ContentKind = ContentKind.TEXT
    unread: str | None = None


def _unread(location: str, reason: str) -> Artefact:
    return Artefact(location, (), unread=reason)


def read_artefacts(path: Path, name: str, budget: Budget | None = None) -> Iterator[Artefact]:
    """Yield the contents of a file, its `name` first; memory does not grow with the file."""
    yield Artefact("file name", (name.encode("utf-8", "surrogateescape"),))
    try:
        budget = budget or Budget.of_file(path.stat().st_size)
        with path.open("rb") as handle:
            yield from _contents(handle, path, 0, budget)
    except OSError as error:
        yield _unread("whole file", f"cannot be read ({type(error).__name__})")


def _contents(handle: IO[bytes], path: Path | None, depth: int, budget: Budget) -> Iterator[Artefact]:
    """Yield the bytes of `handle` and their decoded forms; the first bytes, not the file name, decide the format."""
    first = handle.read(4096)
    binary = b"\0" in first or first.startswith(_PACKED) or bool(compression(first))
    pixels = first.startswith(b"\x93NUMPY") or looks_like_dicom(first)
    kind = ContentKind.PIXELS if pixels else ContentKind.BINARY if binary else ContentKind.TEXT
    yield Artefact("raw bytes", budget.timed(read_blocks(handle)), kind)
    try:
        yield from _decoded(handle, path, depth, budget, first, binary=binary)
    except LimitError as error:
        yield _unread("contents", str(error))
    except DicomReadError as error:
        yield _unread("DICOM elements", str(error))
    except READ_ERRORS as error:
        yield _unread("contents", f"damaged ({type(error).__name__})")


def _decoded(
    handle: IO[bytes], path: Path | None, depth: int, budget: Budget, first: bytes, *, binary: bool
) -> Iterator[Artefact]:
    handle.seek(0)
    archive, packing = archive_kind(first), compression(first)
    if first[:4] == b"PAR1" or first[:6] == b"ARROW1":
        columns = parquet_artefacts(handle) if first[:4] == b"PAR1" else arrow_artefacts(handle)
        yield from (Artefact(where, blocks, _kind(is_binary)) for where, blocks, is_binary in columns)
    elif first[:15] == b"SQLite format 3":
        if path is None:
            yield _unread("database", "a database within an archive is searched as raw bytes only")
        else:
            yield from (Artefact(where, budget.timed(blocks)) for where, blocks in sqlite_artefacts(path))
    elif archive == "closed" or (depth >= _MAX_DEPTH and (archive or packing)):
        yield _unread("archive", "this archive cannot be opened" if archive == "closed" else "archives nest too deep")
    elif archive:
        for member in members(handle, archive, budget):
            yield from _archived(member, depth, budget)
    elif packing:
        yield from _packed(handle, packing, depth, budget)
    elif looks_like_dicom(first):
        yield from _dicom(handle, budget)
    elif first.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        yield from (Artefact(where, (text,)) for where, text in picture_texts(handle, first, budget))
    elif is_viewing_copy(first):
        yield from _viewing_copy(handle, budget)
    elif first.startswith(b"%PDF"):
        yield from _text_forms(handle, json=False)
        yield from (Artefact(where, (text,)) for where, text in pdf_texts(handle, budget))
    elif first.startswith(b"\x93NUMPY"):
        yield from (Artefact("values", budget.timed(blocks)) for blocks in npy_values(handle))
    elif not binary:
        yield from _text_forms(handle, json=True)
    if binary and not (archive or packing):
        yield from _wide(handle, first)


def _viewing_copy(handle: IO[bytes], budget: Budget) -> Iterator[Artefact]:
    """Yield the header of a viewing copy, and the texts that its pictures hold beside their pixels."""
    for index, data in enumerate(read_pictures(handle)):
        if index == 0:
            yield Artefact("header", (data,))
            continue
        budget.check_time()
        for location, text in picture_texts(io.BytesIO(data), data[:512], budget):
            yield Artefact(f"a picture, {location}", (text,))


def _kind(is_binary: bool) -> ContentKind:
    return ContentKind.BINARY if is_binary else ContentKind.TEXT


def _text_forms(handle: IO[bytes], *, json: bool) -> Iterator[Artefact]:
    def blocks() -> Iterator[bytes]:
        return unescaped_json(read_blocks(handle)) if json else read_blocks(handle)

    if json and any(b"\\" in block for block in read_blocks(handle)):
        yield Artefact("decoded escapes", blocks())
    yield Artefact("decoded HTML", unescaped_html(read_blocks(handle)))
    yield Artefact("embedded files", embedded_files(read_blocks(handle)), ContentKind.BINARY)
    yield Artefact("decoded base64 and hexadecimal", decoded_runs(blocks()), ContentKind.BINARY)
    yield Artefact("decoded UTF-16", wide_text(decoded_runs(blocks())), ContentKind.BINARY)


def _wide(handle: IO[bytes], first: bytes) -> Iterator[Artefact]:
    yield Artefact("decoded UTF-16 or UTF-32", wide_text(read_blocks(handle)), ContentKind.BINARY)
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
        if first.startswith(mark):
            decoder = codecs.getincrementaldecoder(encoding)("replace")
            text = (decoder.decode(block).encode("utf-8", "replace") for block in read_blocks(handle))
            yield Artefact("decoded Unicode", text)
            return


def _archived(member: Member, depth: int, budget: Budget) -> Iterator[Artefact]:
    name, pieces = member
    yield Artefact("file name in the archive", (name.encode("utf-8", "surrogateescape"),))
    if isinstance(pieces, str):
        yield _unread("archive", f"a member is {pieces}")
        return
    try:
        yield from _member(pieces, "archive", depth, budget)
    except LimitError:
        raise
    except READ_ERRORS as error:
        yield _unread("archive", f"a member is damaged ({type(error).__name__})")


def _packed(handle: IO[bytes], packing: str, depth: int, budget: Budget) -> Iterator[Artefact]:
    try:
        yield from _member(unpacked(handle, packing, budget), "unpacked", depth, budget)
    except LimitError:
        raise
    except READ_ERRORS as error:
        if packing != "zlib":  # two letters of a text look like the header of zlib
            yield _unread("unpacked", f"damaged ({type(error).__name__})")
        else:
            yield from _text_forms(handle, json=True)


def _member(pieces: Iterator[bytes], location: str, depth: int, budget: Budget) -> Iterator[Artefact]:
    """Unpack one member to a temporary file, so that it can be read more than once."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        for piece in pieces:
            copy.write(piece)
        copy.seek(0)
        for artefact in _contents(copy, None, depth + 1, budget):
            yield replace(artefact, location=f"{location}, {artefact.location}")


def _dicom(handle: IO[bytes], budget: Budget) -> Iterator[Artefact]:
    syntax, meta = read_syntax(handle)
    yield from (artefact for element in meta for artefact in _element(handle, element))
    if not syntax.deflated:
        yield from _elements(handle, syntax, budget)
        return
    handle.seek(syntax.start)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        for piece in inflated_raw(handle, budget):
            copy.write(piece)
        yield Artefact("inflated bytes", read_blocks(copy), ContentKind.PIXELS)
        yield from _elements(copy, replace(syntax, start=0), budget)


def _elements(handle: IO[bytes], syntax: Syntax, budget: Budget) -> Iterator[Artefact]:
    for element in read_elements(handle, syntax):
        budget.check_time()
        yield from _element(handle, element)


def _element(handle: IO[bytes], element: DicomElement) -> Iterator[Artefact]:
    if element.damaged:
        yield _unread(element.name, "the value does not fit its VR; its bytes are searched")
    if element.values:
        yield Artefact(element.name, ("\n".join(element.values).encode("utf-8", "replace"),))
    if element.raw:
        kind = ContentKind.TEXT if len(element.raw) <= _SHORT else ContentKind.BINARY
        yield Artefact(element.name, (element.raw,), kind)
        if len(element.raw) > 4:
            yield Artefact(element.name, wide_text((element.raw,)), kind)
            yield Artefact(element.name, decoded_runs((element.raw,)), ContentKind.BINARY)
            yield from _embedded(element)


def _embedded(element: DicomElement) -> Iterator[Artefact]:
    """Yield the contents of a file that an element holds, such as a PDF document."""
    if archive_kind(element.raw) or compression(element.raw) or element.raw.startswith((b"%PDF", b"\x89PNG")):
        inner = _contents(io.BytesIO(element.raw), None, _MAX_DEPTH - 1, Budget.of_file(len(element.raw)))
        yield from (replace(artefact, location=f"{element.name}, {artefact.location}") for artefact in inner)
