"""Bytes in parts, for searches that cross the border of a part."""

from __future__ import annotations


def cut(data: bytes, size: int) -> list[bytes]:
    """Return `data` in parts of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]
