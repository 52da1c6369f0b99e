"""The size that a compressed frame itself states, read before a codec allocates for it."""

from __future__ import annotations

import struct

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOF markers; F7 is JPEG-LS
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return height and width from a JPEG, JPEG-LS or JPEG 2000 codestream, or None if it states none.

    Sources: ITU-T T.81 annex B.2.2 (SOF), T.87 annex C (SOF55), T.800 annex A.5.1 (SIZ).
    """
    if frame[:4] == b"\xff\x4f\xff\x51":
        if len(frame) < 24:
            return None
        right, bottom, left, top = struct.unpack(">4I", frame[8:24])
        return bottom - top, right - left
    at = _start_of_frame(frame)
    if at is None:
        return None
    height, width = struct.unpack(">2H", frame[at + 5 : at + 9])
    return height, width


def jpeg_precision(frame: bytes) -> int | None:
    """Return the bits a sample that a JPEG or JPEG-LS codestream states (T.81 annex B.2.2), or None."""
    at = _start_of_frame(frame)
    return None if at is None else frame[at + 4]


def _start_of_frame(frame: bytes) -> int | None:
    """Return where the first SOF marker segment of a JPEG begins, if its sizes are there."""
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _JPEG_FRAMES:
            return at if at + 9 <= len(frame) else None
        else:
            at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return None
