"""Reads large files in overlapping blocks so that matches across a boundary are found and memory stays bounded."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterable, Iterator
from typing import IO

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
