"""Lists the texts that pictures and PDF files hold beside their pixels."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import IO

from heart2heart.verify.containers import inflate_bytes
from heart2heart.verify.limits import Budget

_PNG = b"\x89PNG\r\n\x1a\n"
_LONGEST_CHUNK = 64 * 2**20  # bytes; a longer chunk of text is searched raw only
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_PDF_TEXT = re.compile(rb"\[((?:\((?:\\.|[^\\)])*\)|<[0-9A-Fa-f\s]*>|[-\d.\s])*)\]\s*TJ", re.DOTALL)
_PDF_STRING = re.compile(rb"\(((?:\\.|[^\\)])*)\)|<([0-9A-Fa-f\s]+)>", re.DOTALL)
_LARGEST_PDF = 256 * 2**20  # bytes


def picture_texts(handle: IO[bytes], first: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield each text of a PNG or JPEG file with its location.

    Args:
        handle: The file.
        first: Its first bytes, which decide the format.
        budget: Limits.

    Raises:
        LimitError: a chunk unpacks to more than the budget.
    """
    handle.seek(0)
    if first.startswith(_PNG):
        yield from _png(handle, budget)
    elif first.startswith(b"\xff\xd8\xff"):
        yield from _jpeg(handle)


def _png(handle: IO[bytes], budget: Budget) -> Iterator[tuple[str, bytes]]:
    handle.read(len(_PNG))
    while len(head := handle.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP") and length <= _LONGEST_CHUNK:
            data = handle.read(length)
            yield f"PNG chunk {kind.decode()}", data
            keyword, _, rest = data.partition(b"\0")
            if kind in (b"zTXt", b"iCCP"):
                yield f"PNG chunk {kind.decode()}, unpacked", keyword + b"\n" + inflate_bytes(rest[1:], budget)
            elif kind == b"iTXt" and rest[:1] == b"\1":
                packed = rest[2:].split(b"\0", 2)[-1]
                yield "PNG chunk iTXt, unpacked", keyword + b"\n" + inflate_bytes(packed, budget)
        else:
            handle.seek(length, 1)
        handle.seek(4, 1)  # the checksum
    if len(head) not in (0, 8):
        raise EOFError("cut short")


def _jpeg(handle: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    handle.read(2)
    while len(head := handle.read(4)) == 4 and head[0] == 0xFF and head[1] != 0xDA:
        data = handle.read(max(0, int.from_bytes(head[2:], "big") - 2))
        if head[1] == 0xFE or 0xE0 <= head[1] <= 0xEF:
            yield f"JPEG segment {head[1]:02X}", data


def pdf_texts(handle: IO[bytes], budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield the streams of a PDF file, inflated, and their text with the kerning removed.

    Raises:
        LimitError: the file, or what it unpacks to, is too large.
    """
    handle.seek(0)
    whole = handle.read(_LARGEST_PDF + 1)
    budget.spend(max(0, len(whole) - _LARGEST_PDF) and budget.unpacked + 1)
    yield "PDF text", _shown_text(whole)
    for index, match in enumerate(_PDF_STREAM.finditer(whole), start=1):
        try:
            plain = inflate_bytes(match[1].strip(b"\r\n"), budget)
        except zlib.error:
            continue
        if plain:
            yield f"PDF stream {index}", plain + b"\n" + _shown_text(plain)


def has_pictures(handle: IO[bytes]) -> bool:
    """Return whether a PDF file holds pictures, which are not read."""
    handle.seek(0)
    return b"/Image" in handle.read(_LARGEST_PDF)


def _shown_text(content: bytes) -> bytes:
    """Return the strings of a content stream; those of one array, which kerning separates, are joined."""
    arrays = (b"".join(map(_string, _PDF_STRING.finditer(array[1]))) for array in _PDF_TEXT.finditer(content))
    strings = (_string(string) for string in _PDF_STRING.finditer(content))
    return b"\n".join((*arrays, *strings))


def _string(string: re.Match[bytes]) -> bytes:
    if string[2] is not None:
        digits = b"".join(string[2].split())
        text = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
    else:
        text = re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8) & 0xFF]), string[1])
        text = re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL)
    if text.startswith(b"\xfe\xff"):
        return text[2:].decode("utf-16-be", "replace").encode("utf-8", "replace")
    return text
