"""Take the one part out of a `multipart/related` answer (PS3.18 section 8.7.3), a piece at a time, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from typing import BinaryIO

_LONGEST_HEAD = 2**16  # bytes before the part's content; more is no honest answer


class BrokenResponseError(Exception):
    """The answer is not one whole part, or was cut short."""


def copy_part(content_type: str, pieces: Iterator[bytes], out: BinaryIO) -> None:
    """Write the content of the answer's only part to `out`.

    Memory is bounded by the size of a piece, whatever the size of the part. An answer of another type than
    `multipart/related` is taken as the content itself.

    Args:
        content_type: The answer's header of that name.
        pieces: The answer's body.
        out: Where the content goes.

    Raises:
        BrokenAnswerError: the body ends before its closing boundary, or has no part or more than one.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related":
        for piece in pieces:
            out.write(piece)
        return
    if not isinstance(boundary, str) or not boundary:
        raise BrokenResponseError("a multipart answer without a boundary")
    mark = b"--" + boundary.encode("latin-1", "replace")
    _copy_body(_after_head(pieces, mark), pieces, b"\r\n" + mark, out)


def _after_head(pieces: Iterator[bytes], mark: bytes) -> bytes:
    """Return what was read beyond the part's head: the boundary, its header lines and an empty line."""
    held = b""
    for piece in pieces:
        held += piece
        start = held.find(mark)
        end = -1 if start < 0 else held.find(b"\r\n\r\n", start)
        if end >= 0:
            return held[end + 4 :]
        if len(held) > _LONGEST_HEAD + len(piece):
            break
    raise BrokenResponseError("a multipart answer without a part")


def _copy_body(held: bytes, pieces: Iterator[bytes], mark: bytes, out: BinaryIO) -> None:
    """Write everything up to `mark`, which must close the answer."""
    while True:
        end = held.find(mark)
        if end >= 0:
            out.write(held[:end])
            tail = held[end + len(mark) :]
            break
        keep = len(mark) - 1  # the beginning of the mark may stand at the end of this piece
        out.write(held[: max(len(held) - keep, 0)])
        held = held[max(len(held) - keep, 0) :] + _next(pieces)
    while len(tail) < 2:
        tail += _next(pieces)
    if tail[:2] != b"--":
        raise BrokenResponseError("more than one part")


def _next(pieces: Iterator[bytes]) -> bytes:
    piece = next(pieces, b"")
    if not piece:
        raise BrokenResponseError("the answer ends before its closing boundary")
    return piece
