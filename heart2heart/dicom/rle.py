"""Decodes and encodes RLE Lossless frames (PS3.5 annex G) by the segments of pylibjpeg-rle.

The decoder of whole frames in pylibjpeg-rle 2.2 panics when a segment of a 16-bit picture is too long, so `decode_rle`
reads the header of a frame itself and decodes segment by segment; see docs/decisions/0006-rle.md.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

_RLE_HEADER_BYTES = 64


def decode_rle(frame: bytes, rows: int, columns: int, samples: int, bits: int) -> npt.NDArray[Any]:
    """Decode one RLE Lossless frame (PS3.5 annex G).

    Args:
        frame: Header of 64 bytes and segments, one for each byte plane.
        rows: Height in pixels.
        columns: Width in pixels.
        samples: Samples per pixel, 1 or 3.
        bits: Bits allocated, 8, 16 or 32.

    Returns:
        Unsigned integers of `bits` bits, big endian, `(rows, columns)`, or `(rows, columns, 3)` for three samples.

    Raises:
        ValueError: The header does not fit the picture, or a segment is too short.
    """
    from rle.rle import decode_segment

    width = bits // 8
    count = samples * width
    if len(frame) < _RLE_HEADER_BYTES:
        raise ValueError("the RLE header is cut")
    stated, *offsets = struct.unpack_from("<16I", frame)
    edges = [*offsets[:count], len(frame)]
    # An empty segment makes `decode_segment` panic, hence `>=`.
    if stated != count or edges[0] < _RLE_HEADER_BYTES or any(start >= end for start, end in pairwise(edges)):
        raise ValueError("the RLE header does not fit the picture")
    # Writers pad segments, so a longer one is cut; `frombuffer` raises on a shorter one.
    planes = [np.frombuffer(decode_segment(frame[a:b]), np.uint8, rows * columns) for a, b in pairwise(edges)]
    if count == 1:
        return planes[0].reshape(rows, columns)
    # The most significant byte of a sample comes first.
    sample_bytes = np.moveaxis(np.stack(planes).reshape(samples, width, rows, columns), 1, -1)
    values = np.ascontiguousarray(sample_bytes).view(f">u{width}")[..., 0]
    return values[0] if samples == 1 else values.transpose(1, 2, 0)


def encode_rle(frame: npt.NDArray[np.uint8]) -> bytes:
    """Encode one RLE Lossless frame with its header of 64 bytes; no run crosses a row.

    Args:
        frame: uint8 `(rows, columns)` or `(rows, columns, 3)`.
    """
    from rle.utils import encode_pixel_data

    rows, columns = frame.shape[:2]
    samples = 1 if frame.ndim == 2 else frame.shape[2]
    return encode_pixel_data(frame.tobytes(), rows=rows, columns=columns, samples_per_pixel=samples, bits_allocated=8)
