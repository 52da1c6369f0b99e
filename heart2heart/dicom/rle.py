"""RLE Lossless (PS3.5 annex G): a header of segment offsets, then one PackBits segment a byte plane.

Pillow's PackBits decoder reads the segments; docs/decisions/0006-rle.md gives its speed beside other decoders.
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
