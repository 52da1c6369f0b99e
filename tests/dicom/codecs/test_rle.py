from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from heart2heart.dicom.codecs.rle import encode_packbits, encode_rle

Bytes = npt.NDArray[np.uint8]


def unpack(segment: bytes) -> bytes:
    """PackBits as PS3.5 G.3.2 writes it down."""
    out, place = b"", 0
    while place < len(segment):
        code = segment[place]
        if code < 128:
            out += segment[place + 1 : place + 2 + code]
            place += code + 2
        else:
            out += segment[place + 1 : place + 2] * (257 - code if code > 128 else 0)
            place += 2
    return out


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from([0, 0, 0, 7, 255])))
@settings(max_examples=60, deadline=None)
def test_what_is_packed_unpacks_to_the_same(plane: Bytes) -> None:
    packed = encode_packbits(plane)
    assert len(packed) % 2 == 0
    assert unpack(packed)[: plane.size] == plane.tobytes()


def test_a_long_row_of_one_value_is_short() -> None:
    assert len(encode_packbits(np.zeros((1, 1280), dtype=np.uint8))) == 20


def test_rows_are_packed_apart() -> None:
    for width in (9, 40):  # a literal stretch, a run
        row = encode_packbits(np.full((1, width), 3, dtype=np.uint8))
        assert encode_packbits(np.full((2, width), 3, dtype=np.uint8)) == row + row


def test_a_colour_frame_has_three_segments() -> None:
    frame = np.zeros((4, 5, 3), dtype=np.uint8)
    assert encode_rle(frame)[:4] == b"\x03\0\0\0"
