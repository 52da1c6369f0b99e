"""Splits the body of a STOW-RS request (PS3.18 section 10.5) into its parts while it arrives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

MAX_HEAD_BYTES = 2**14
"""Longest head of a part."""

_BOUNDARY = r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]"


class MalformedUploadError(Exception):
    """The body is no complete multipart message."""


@dataclass(frozen=True)
class PartStart:
    """A part begins; its content follows as bytes, until the next start or the end."""


@dataclass(frozen=True)
class PartEnd:
    """The content of a part is whole."""


def upload_boundary(content_type: str) -> bytes:
    """Return the boundary of a multipart message of DICOM files.

    Args:
        content_type: Content-Type header of the request.

    Raises:
        MalformedUploadError: another type, or no valid boundary (RFC 2046 section 5.1.1).

    Examples:
        >>> upload_boundary('multipart/related; type="application/dicom"; boundary=b')
        b'b'
    """
    header = Message()
    header["Content-Type"] = content_type.replace("\n", " ").replace("\r", " ")
    boundary, kind = header.get_param("boundary"), header.get_param("type", "application/dicom")
    if header.get_content_type() != "multipart/related" or kind != "application/dicom":
        raise MalformedUploadError('the body must be multipart/related; type="application/dicom"')
    if not isinstance(boundary, str) or not re.fullmatch(_BOUNDARY, boundary):
        raise MalformedUploadError("the Content-Type has no valid boundary")
    return boundary.encode("ascii")


class UploadParser:
    """Takes the body piece by piece; the size of a piece and of one head limits the memory.

    Args:
        boundary: The boundary.
    """

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"\r\n--" + boundary
        self._held = b"\r\n"  # so that the first boundary is found like the others
        self._state = "preamble"

    def feed(self, piece: bytes) -> Iterator[PartStart | PartEnd | bytes]:
        """Yield what a piece brings: starts, contents and ends of parts.

        Raises:
            MalformedUploadError: a head that is too long, or a boundary with something else after it.
        """
        self._held += piece
        while True:
            if self._state in ("preamble", "content"):
                end = self._held.find(self._mark)
                if end < 0:
                    keep = len(self._mark) - 1
                    content, self._held = self._held[:-keep], self._held[-keep:]
                    if content and self._state == "content":
                        yield content
                    return
                if end and self._state == "content":
                    yield self._held[:end]
                if self._state == "content":
                    yield PartEnd()
                self._held, self._state = self._held[end + len(self._mark) :], "boundary"
            elif self._state == "boundary":
                tail = self._held.lstrip(b" \t")
                if len(tail) < 2:
                    return
                if tail[:2] == b"--":
                    self._state = "epilogue"
                elif tail[:2] == b"\r\n":
                    self._held, self._state = tail, "head"
                else:
                    raise MalformedUploadError("a boundary is followed by something else")
            elif self._state == "head":
                end = self._held.find(b"\r\n\r\n")
                if end > MAX_HEAD_BYTES or (end < 0 and len(self._held) > MAX_HEAD_BYTES):
                    raise MalformedUploadError("the head of a part is too long")
                if end < 0:
                    return
                self._held, self._state = self._held[end + 4 :], "content"
                yield PartStart()
            else:  # the epilogue is ignored
                self._held = b""
                return

    def close(self) -> None:
        """Check that the body is whole.

        Raises:
            MalformedUploadError: it ends before its closing boundary.
        """
        if self._state != "epilogue":
            raise MalformedUploadError("the body ends before its closing boundary")
