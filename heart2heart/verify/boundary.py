"""What must not be beside a match, so that it is no part of a longer word or number by chance."""

from __future__ import annotations

from enum import StrEnum

_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset(b"0123456789")
_WINDOW = 48  # bytes on either side of a number
_NUMBER = b"0123456789."
_BASE64 = b"abcdefghijklmnopqrstuvwxyz0123456789+/_=-"
_ENCODED = 200  # letters without a break that are base64, not words
_CERTAIN = 12  # letters of a pattern that base64 does not hold by chance
_PRINTABLE = bytes(range(0x20, 0x7F))


class Boundary(StrEnum):
    """What must not be right before or after a pattern."""

    NONE = "none"
    WORD = "word"
    """A letter or a digit."""
    NUMBER = "number"
    """A letter, a digit, or the rest of a number with decimals."""


REACH = 256
"""Bytes beside a pattern that may decide whether it counts."""


def is_apart(block: bytes, at: int, raw: bytes, boundary: Boundary) -> bool:
    """Return whether nothing beside the pattern `raw` at `at` makes it a part of something longer."""
    if boundary is Boundary.NONE:
        return True
    wide = b"\0" in raw
    step = 2 if wide else 1
    end = at + len(raw)
    before, after = block[max(0, at - step) : at], block[end : end + step]
    if boundary is Boundary.NUMBER and not wide:
        return _is_whole_number(block, at, end, after)
    return not _ALNUM & (set(before) | set(after))


def _is_whole_number(block: bytes, at: int, end: int, after: bytes) -> bool:
    time = block[end : end + 1] == b"t" and block[end + 1 : end + 3].isdigit()  # 1947-08-13T10:00
    if _ALNUM & set(after) and not (time and b"-" in block[at:end]):
        return False
    start = at
    while block[start - 1 : start] == b"0" and start > max(0, at - _WINDOW) and block[at : at + 1] != b"0":
        start -= 1
    if _ALNUM & set(block[max(0, start - 1) : start]):
        return False
    raw = block[at:end]
    left, right = block[max(0, start - _WINDOW) : start], block[end : end + _WINDOW]
    head = left[len(left.rstrip(_NUMBER)) :].rpartition(b"..")[2]
    tail = right[: len(right) - len(right.lstrip(_NUMBER))].partition(b"..")[0].rstrip(b".")
    if b"." in raw or not set(raw) <= _DIGITS:
        return not (head.endswith(b".") and len(head) > 1) and not (tail.startswith(b".") and len(tail) > 1)
    dots = head.count(b".") + tail.count(b".")
    if dots != 1:
        return True  # a whole number, or a part of a UID
    return not head.lstrip(b".") and not tail.strip(b".0")


def is_encoded(block: bytes, at: int, raw: bytes) -> bool:
    """Return whether a short pattern is within a long run of base64 letters, where letters follow by chance."""
    if len(raw) >= _CERTAIN:
        return False
    before, after = block[max(0, at - _ENCODED) : at], block[at : at + _ENCODED]
    left = len(before) - len(before.rstrip(_BASE64))
    return left + len(after) - len(after.lstrip(_BASE64)) >= _ENCODED


def is_printed(block: bytes, at: int, raw: bytes) -> bool:
    """Return whether a short pattern in binary bytes is within text long enough that this is no chance.

    Each further printable byte has a probability of 95 in 256, or 1.4 bits; each byte of the pattern 7 bits. A pattern
    of five and more bytes between two zero bytes counts too.
    """
    before, after = block[max(0, at - 32) : at], block[at + len(raw) : at + len(raw) + 32]
    left, right = len(before) - len(before.rstrip(_PRINTABLE)), len(after) - len(after.lstrip(_PRINTABLE))
    if left == right == 0 and len(raw) >= 5:
        end = at + len(raw)
        return block[max(0, at - 1) : at] in (b"", b"\0") and block[end : end + 1] in (b"", b"\0")
    return 7 * len(raw) + 1.43 * (left + right) >= 50
