"""RLE lossless encoding of one frame (PS3.5 annex G), runs found by numpy."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_LONGEST = 128
_SHORTEST = 16
_FULL_RUN = bytes((257 - _LONGEST,))


def encode_frame(frame: Bytes) -> bytes:
    """Encode a frame of uint8 `(rows, columns)` or `(rows, columns, 3)` with its header of 64 bytes."""
    planes = [frame] if frame.ndim == 2 else [frame[..., channel] for channel in range(frame.shape[2])]
    segments = [encode_plane(np.ascontiguousarray(plane)) for plane in planes]
    offsets = [64]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    header = struct.pack("<16L", len(segments), *offsets, *([0] * (15 - len(segments))))
    return header + b"".join(segments)


def encode_plane(plane: Bytes) -> bytes:
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
    runs = np.flatnonzero(length >= _SHORTEST)
    raw = flat.tobytes()
    out = bytearray()
    done = 0
    for start, count in zip(first[runs].tolist(), length[runs].tolist(), strict=True):
        _literal(out, raw, done, start, columns)
        value = raw[start : start + 1]
        done = start + count
        whole, rest = divmod(count, _LONGEST)
        out += (_FULL_RUN + value) * whole
        if rest:
            out += bytes(((257 - rest) % 256,)) + value  # a rest of one is a literal of one byte, code 0
    _literal(out, raw, done, flat.size, columns)
    if len(out) % 2:
        out.append(0)
    return bytes(out)


def _literal(out: bytearray, raw: bytes, start: int, end: int, columns: int) -> None:
    while start < end:
        part = min(end - start, _LONGEST, columns - start % columns)
        out.append(part - 1)
        out += raw[start : start + part]
        start += part
