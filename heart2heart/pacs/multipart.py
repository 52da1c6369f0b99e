"""Extracts the single part of a `multipart/related` response (PS3.18 section 8.7.3), in pieces, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from typing import BinaryIO

_LONGEST_HEAD = 2**16  # bytes, the limit for everything before the content of the part


class BrokenResponseError(Exception):
    """The response is not one complete part, or was cut short."""


def copy_part(content_type: str, pieces: Iterator[bytes], out: BinaryIO) -> None:
    """Write the content of the only part of a response to `out`.

    The size of a piece limits the memory, whatever the size of the part. A response of another type than
    `multipart/related` is the content itself.

    Args:
        content_type: Content-Type header of the response.
        pieces: Body of the response.
        out: File for the content.

    Raises:
        BrokenResponseError: the body ends before its closing boundary, or has no part or more than one.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related":
        for piece in pieces:
            out.write(piece)
        return
    if not isinstance(boundary, str) or not boundary:
        raise BrokenResponseError("a multipart response without a boundary")
    mark = b"--" + boundary.encode("latin-1", "replace")
    _copy_body(_after_head(pieces, mark), pieces, b"\r\n" + mark, out)


def _after_head(pieces: Iterator[bytes], mark: bytes) -> bytes:
    """Return the bytes read after the head of the part, which is the boundary, its header lines and an empty line."""
    held = b""
    for piece in pieces:
        held += piece
        start = held.find(mark)
        end = -1 if start < 0 else held.find(b"\r\n\r\n", start)
        if end >= 0:
            return held[end + 4 :]
        if len(held) > _LONGEST_HEAD + len(piece):
            break
    raise BrokenResponseError("a multipart response without a part")


def _copy_body(held: bytes, pieces: Iterator[bytes], mark: bytes, out: BinaryIO) -> None:
    """Write everything before `mark`, which must end the response."""
    while True:
        end = held.find(mark)
        if end >= 0:
            out.write(held[:end])
            tail = held[end + len(mark) :]
            break
        keep = len(mark) - 1  # this piece may end with the start of the mark
        out.write(held[: max(len(held) - keep, 0)])
        held = held[max(len(held) - keep, 0) :] + _next(pieces)
    while len(tail) < 2:
        tail += _next(pieces)
    if tail[:2] != b"--":
        raise BrokenResponseError("more than one part")


def _next(pieces: Iterator[bytes]) -> bytes:
    piece = next(pieces, b"")
    if not piece:
        raise BrokenResponseError("the response ends before its closing boundary")
    return piece
