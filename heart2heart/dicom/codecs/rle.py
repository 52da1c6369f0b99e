"""Decodes and encodes RLE Lossless (PS3.5 annex G): segment offsets, then one PackBits segment a byte plane.

Pillow's PackBits decoder reads the segments; docs/decisions/0006-rle.md gives its speed beside other decoders. The
encoder finds runs with numpy.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def decode_rle(frame: bytes, rows: int, columns: int, samples: int, bits: int) -> npt.NDArray[Any]:
    """Decode one frame.

    Args:
        frame: Header and segments.
        rows: Height.
        columns: Width.
        samples: 1 or 3.
        bits: Bits allocated: 8, 16 or 32.

    Returns:
        Unsigned `(rows, columns)`, or `(rows, columns, 3)` for three samples.

    Raises:
        ValueError: the header does not fit the picture, or a segment is too short.
    """
    planes = samples * bits // 8
    if len(frame) < 64:
        raise ValueError("the RLE header is cut")
    count, *offsets = struct.unpack("<16I", frame[:64])
    edges = [*offsets[:planes], len(frame)]
    if count != planes or edges[0] < 64 or any(a > b for a, b in pairwise(edges)):
        raise ValueError("the RLE header does not fit the picture")
    # One long row: PS3.5 lets no run cross a row, but some writers do.
    size = (rows * columns, 1)
    segments = [
        np.asarray(Image.frombytes("L", size, frame[a:b], "packbits", "L")).reshape(rows, columns)
        for a, b in pairwise(edges)
    ]
    width = bits // 8
    # The most significant byte of a sample comes first.
    values = [np.stack(segments[i : i + width], axis=-1).view(f">u{width}")[..., 0] for i in range(0, planes, width)]
    return values[0] if samples == 1 else np.stack(values, axis=-1)


Bytes = npt.NDArray[np.uint8]

_MAX_RUN = 128
_MIN_RUN = 16
_FULL_RUN = bytes((257 - _MAX_RUN,))


def encode_rle(frame: Bytes) -> bytes:
    """Encode a frame of uint8 `(rows, columns)` or `(rows, columns, 3)` with its header of 64 bytes."""
    planes = [frame] if frame.ndim == 2 else [frame[..., channel] for channel in range(frame.shape[2])]
    segments = [encode_packbits(np.ascontiguousarray(plane)) for plane in planes]
    offsets = [64]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    header = struct.pack("<16L", len(segments), *offsets, *([0] * (15 - len(segments))))
    return header + b"".join(segments)


def encode_packbits(plane: Bytes) -> bytes:
    """Encode one plane as PackBits, each row for itself, padded to an even length."""
    columns = plane.shape[1]
    flat = plane.ravel()
    starts = np.empty(flat.size, dtype=bool)
    starts[0] = True
    np.not_equal(flat[1:], flat[:-1], out=starts[1:])
    starts[::columns] = True
    first = np.flatnonzero(starts)
    length = np.diff(np.append(first, flat.size))
    # Shorter runs save little and cost a loop each; what lies between two long ones of a row is one literal stretch.
    runs = np.flatnonzero(length >= _MIN_RUN)
    raw = flat.tobytes()
    out = bytearray()
    done = 0
    for start, count in zip(first[runs].tolist(), length[runs].tolist(), strict=True):
        _append_literal(out, raw, done, start, columns)
        value = raw[start : start + 1]
        done = start + count
        whole, rest = divmod(count, _MAX_RUN)
        out += (_FULL_RUN + value) * whole
        if rest:
            out += bytes(((257 - rest) % 256,)) + value  # a rest of one is a literal of one byte, code 0
    _append_literal(out, raw, done, flat.size, columns)
    if len(out) % 2:
        out.append(0)
    return bytes(out)


def _append_literal(out: bytearray, raw: bytes, start: int, end: int, columns: int) -> None:
    while start < end:
        part = min(end - start, _MAX_RUN, columns - start % columns)
        out.append(part - 1)
        out += raw[start : start + part]
        start += part
