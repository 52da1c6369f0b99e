"""Cuts bytes into blocks, and decodes what a text encodes: JSON and HTML escapes, base64, hexadecimal, UTF-16.

Every function takes and yields consecutive blocks, so that memory does not grow with the text.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

BLOCK = 4 * 2**20  # bytes
_CONTEXT = 1024  # bytes kept from the block before
_LONGEST_RUN = 2**24  # letters of base64 or hexadecimal that are decoded at once


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


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL
)
_LONGEST_ESCAPE = 12
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}


def unescaped_json(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the text with its JSON escapes, and `\xNN`, decoded."""
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
    if code[:1] == b"x" and len(code) == 3:
        return bytes.fromhex(code[1:].decode())
    if code[:1] != b"u" or len(code) < 5:
        return _PLAIN.get(code, code)
    units = bytes.fromhex("".join(part.decode() for part in code.split(b"\\u") if part).removeprefix("u"))
    return units.decode("utf-16-be", "replace").encode("utf-8", "replace")


_ENTITY = 40  # bytes; the longest named character reference has 33


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


_URI = re.compile(rb"data:[\w/+.-]{1,100};base64,")
_LONGEST_URI = 128  # bytes of the start of a data URI
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/\s]")


def embedded_files(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of every file that a text holds as a base64 data URI, in order, each followed by a zero byte."""
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
            yield _base64(letters[whole:] + b"=" * (-len(letters) % 4))
            yield b"\0"
            held, within = held[end.start() :], False
    if within:
        yield _base64(held + b"=" * (-len(held) % 4))


def _base64(letters: bytes) -> bytes:
    try:
        return base64.b64decode(letters)
    except binascii.Error:
        return b""


_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{7,}={0,2}")
_HEX_RUN = re.compile(rb"[0-9A-Fa-f]{2}(?:[ :-]?[0-9A-Fa-f]{2}){3,}")
_IN_RUN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_:= -"
_SHIFTED = 4096  # letters; a longer run is decoded from its first letter only
_LINE = 60  # letters from which a run is a line of a wrapped text


def decoded_runs(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decoded bytes of every run of base64 and hexadecimal letters, each followed by a zero byte.

    A base64 run is decoded from each of its first four letters, because a letter before it may belong to the text.
    Lines of one wrapped run are joined.
    """
    held = b""
    for block in stream_blocks(chunks):
        held += block
        cut = len(held.rstrip(_IN_RUN))
        cut = len(held) if len(held) - cut > _LONGEST_RUN else cut
        yield from _runs(held[:cut])
        held = held[cut:]
    yield from _runs(held)


def _runs(text: bytes) -> Iterator[bytes]:
    end = -1
    for run in _BASE64_RUN.finditer(text):
        letters = run[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        wrapped = end >= 0 and text[end : run.start()].strip() == b"" and run.start() - end <= 2
        for shift in range(4 if len(letters) <= _SHIFTED else 1):
            if len(letters) - shift >= 4:
                yield b"" if wrapped and not shift else b"\0"
                whole = letters[shift : shift + (len(letters) - shift) // 4 * 4]
                rest = letters[shift + len(whole) :]
                yield _base64(whole) + (_base64(rest + b"=" * (4 - len(rest))) if len(rest) > 1 else b"")
                if shift == 0 and len(letters) >= _LINE and len(letters) % 4 == 0:
                    end = run.end()
                    break  # the next line goes on
        else:
            end = -1
    yield b"\0"
    for run in _HEX_RUN.finditer(text):
        yield bytes.fromhex(re.sub(rb"[ :-]", b"", run[0]).decode()) + b"\0"


_WIDE = (
    (2, (1, 0), re.compile(rb"(?:[\x20-\xff]\0){4,}")),
    (2, (0, 1), re.compile(rb"(?:\0[\x20-\xff]){4,}")),
    (4, (1, 0, 0, 0), re.compile(rb"(?:[\x20-\xff]\0\0\0){4,}")),
    (4, (0, 0, 0, 1), re.compile(rb"(?:\0\0\0[\x20-\xff]){4,}")),
)


def wide_text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield, one byte a character, the runs of four and more Latin letters in UTF-16 or UTF-32 of either byte order."""
    before = b""
    for block in stream_blocks(chunks):
        text = before + block
        zero = np.frombuffer(text, np.uint8) == 0
        if zero.any():
            for width, zeros, run in _WIDE:
                if _has_run(zero, zeros):
                    for match in run.finditer(text):
                        yield match[0][zeros.index(1) :: width] + b"\0"
        before = text[-_CONTEXT:]


def _has_run(zero: np.ndarray[tuple[int], np.dtype[np.bool_]], letters: tuple[int, ...]) -> bool:
    """Return whether anywhere four characters of this width follow each other."""
    pattern = letters * 4
    if len(zero) < len(pattern):
        return False
    hits = np.ones(len(zero) - len(pattern) + 1, bool)
    for offset, letter in enumerate(pattern):
        part = zero[offset : offset + len(hits)]
        hits &= ~part if letter else part
    return bool(hits.any())
