"""RLE Lossless against PS3.5 annex G written down: every depth, runs across rows, headers that do not fit."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydicom.uid import RLELossless

from heart2heart.dicom.codecs import RleDecoder
from heart2heart.dicom.image_pixel import ImagePixel, read_image_pixel
from heart2heart.dicom.reader import open_dicom
from heart2heart.dicom.rle import decode_rle, encode_rle
from heart2heart.errors import DicomError
from tests.dicom.build import speckle_frames, write

Bytes = npt.NDArray[np.uint8]
ROWS, COLUMNS = 13, 17


def unpack(segment: bytes) -> bytes:
    """PackBits as PS3.5 G.3.2 writes it down."""
    out, index = b"", 0
    while index < len(segment):
        code = segment[index]
        if code < 128:
            out += segment[index + 1 : index + 2 + code]
            index += code + 2
        else:
            out += segment[index + 1 : index + 2] * (257 - code if code > 128 else 0)
            index += 2
    return out


def literal_segment(raw: bytes) -> bytes:
    return b"".join(bytes([len(part) - 1]) + part for part in (raw[i : i + 128] for i in range(0, len(raw), 128)))


def run_segment(value: int, count: int) -> bytes:
    """Runs of 128 as long as the rest allows, across every row."""
    whole, rest = divmod(count, 128)
    return bytes((129, value)) * whole + (bytes((257 - rest, value)) if rest > 1 else bytes((0, value)) * rest)


def rle_frame(*segments: bytes, count: int | None = None) -> bytes:
    offsets = np.cumsum([64, *map(len, segments)])[:-1].tolist()
    header = struct.pack("<16I", len(segments) if count is None else count, *offsets, *[0] * (15 - len(offsets)))
    return header + b"".join(segments)


@pytest.mark.parametrize(("samples", "bits"), [(1, 8), (3, 8), (1, 16), (3, 16), (1, 32)])
def test_decode_rle_at_every_depth(samples: int, bits: int) -> None:
    picture = np.random.default_rng(0).integers(0, 2**bits, (ROWS, COLUMNS, samples)).astype(f">u{bits // 8}")
    segments = [
        literal_segment(picture[..., sample].copy().view(np.uint8).reshape(ROWS, COLUMNS, -1)[..., byte].tobytes())
        for sample in range(samples)
        for byte in range(bits // 8)
    ]
    decoded = decode_rle(rle_frame(*segments), ROWS, COLUMNS, samples, bits)
    assert np.array_equal(decoded.reshape(picture.shape), picture)
    with pytest.raises(ValueError, match=r"end of the data|buffer"):
        decode_rle(rle_frame(*segments)[:-40], ROWS, COLUMNS, samples, bits)


def test_decode_rle_with_runs_across_rows() -> None:
    """PS3.5 G.3.1 lets no run cross a row, but some writers do."""
    values = (9, 0, 255)
    decoded = decode_rle(rle_frame(*(run_segment(value, ROWS * COLUMNS) for value in values)), ROWS, COLUMNS, 3, 8)
    assert decoded.shape == (ROWS, COLUMNS, 3)
    assert (decoded == values).all()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("padding", [b"\0", b"\0\0", b"\x80", run_segment(7, 99)])
def test_decode_rle_skips_no_operation_and_padding(bits: int, padding: bytes) -> None:
    """A segment that is too long makes `rle.decode_pixel_data` panic at 16 bits."""
    segment = b"\x80" + run_segment(5, ROWS * COLUMNS) + padding
    decoded = decode_rle(rle_frame(*[segment] * (bits // 8)), ROWS, COLUMNS, 1, bits)
    assert (decoded == (5 if bits == 8 else 0x0505)).all()


_RUN = run_segment(9, ROWS * COLUMNS)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(63),
        bytes(64),
        rle_frame(_RUN, count=0),
        rle_frame(_RUN, count=2),
        rle_frame(_RUN, count=16),
        rle_frame(_RUN, count=2**32 - 1),
        rle_frame(_RUN, _RUN),
        struct.pack("<16I", 1, 10, *[0] * 14) + _RUN,
        struct.pack("<16I", 1, 9999, *[0] * 14) + _RUN,
        struct.pack("<16I", 1, 2**32 - 1, *[0] * 14) + _RUN,
        rle_frame(_RUN[:-2]),
        rle_frame(b"\x7fab"),
        rle_frame(b"\xc8"),
        rle_frame(b""),
    ],
)
def test_decode_rle_refuses_what_does_not_fit_the_picture(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"RLE|segment|buffer"):
        decode_rle(frame, ROWS, COLUMNS, 1, 8)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> ImagePixel:
    path = write(tmp_path_factory.mktemp("rle") / "a.dcm", speckle_frames(1, colour=True), RLELossless)
    with open_dicom(path) as opened:
        return read_image_pixel(opened.header, big_endian=False)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_decode_rle_of_damaged_frames(data: st.DataObject) -> None:
    """A damaged frame is a picture of the right size or a `ValueError`: never a panic, which is no `Exception`."""
    samples, bits = data.draw(st.sampled_from([(1, 8), (3, 8), (1, 16), (3, 16), (1, 32)]))
    frame = bytearray(rle_frame(*[run_segment(9, ROWS * COLUMNS) for _ in range(samples * bits // 8)]))
    for _ in range(data.draw(st.integers(1, 5))):
        frame[data.draw(st.integers(0, 63) | st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    del frame[data.draw(st.integers(0, len(frame)) | st.just(len(frame))) :]
    with suppress(ValueError):
        assert decode_rle(bytes(frame), ROWS, COLUMNS, samples, bits).shape[:2] == (ROWS, COLUMNS)


def test_rle_decoder_refuses_one_segment_for_three_samples(layout: ImagePixel) -> None:
    gray = encode_rle(np.ascontiguousarray(speckle_frames(1)[0, ..., 0]))
    with pytest.raises(DicomError) as error:
        RleDecoder().decode(gray, layout, gray=False)
    assert error.value.code == "failed:decode"


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from([0, 0, 0, 7, 255])),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_encode_rle_follows_the_standard(plane: Bytes, colour: bool) -> None:
    picture = np.stack([plane, plane[::-1], plane], axis=-1) if colour else plane
    frame = encode_rle(picture)
    count, *offsets = struct.unpack("<16I", frame[:64])
    edges = [*offsets[:count], len(frame)]
    assert all(edge % 2 == 0 for edge in edges)
    planes = [picture] if picture.ndim == 2 else list(np.moveaxis(picture, 2, 0))
    for part, start, end in zip(planes, edges, edges[1:], strict=False):
        assert unpack(frame[start:end])[: part.size] == part.tobytes()
    rows, columns = picture.shape[:2]
    assert np.array_equal(decode_rle(frame, rows, columns, len(planes), 8), picture)


@pytest.mark.parametrize("width", [9, 40])
def test_encode_rle_packs_each_row_for_itself(width: int) -> None:
    one, two = (encode_rle(np.full((height, width), 3, dtype=np.uint8))[64:] for height in (1, 2))
    assert two == one + one
