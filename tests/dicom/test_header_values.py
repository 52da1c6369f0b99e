"""Codestream sizes, palettes, run lengths, single values: the small readers."""

import struct

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.dicom.header_values import integer, number, numbers, text
from heart2heart.dicom.image_pixel import read_palette
from heart2heart.dicom.jpeg import codestream_size
from heart2heart.errors import DicomError


@given(st.integers(1, 300), st.integers(1, 300))
def test_codestream_size_of_a_jpeg(height: int, width: int) -> None:
    frame = simplejpeg.encode_jpeg(np.zeros((height, width, 1), np.uint8), colorspace="GRAY")
    assert codestream_size(frame) == (height, width)


@given(st.binary(max_size=60))
def test_codestream_size_of_garbage_is_none_or_a_pair(tail: bytes) -> None:
    assert codestream_size(tail[:3]) is None
    for head in (b"\xff\xd8", b"\xff\x4f\xff\x51", b""):
        size = codestream_size(head + tail)
        assert size is None or len(size) == 2


def test_codestream_size_of_jpeg_2000_is_the_image_area_without_its_offset() -> None:
    frame = b"\xff\x4f\xff\x51" + struct.pack(">HH4I", 47, 0, 650, 490, 10, 10) + bytes(30)
    assert codestream_size(frame) == (480, 640)


def _palette(descriptor: list[int], data: bytes, *, segmented: bool = False) -> Dataset:
    header = Dataset()
    for colour in ("Red", "Green", "Blue"):
        setattr(header, f"{colour}PaletteColorLookupTableDescriptor", descriptor)
        setattr(header, f"{'Segmented' * segmented}{colour}PaletteColorLookupTableData", data)
    return header


def test_read_palette_of_8_and_16_bits_in_both_byte_orders() -> None:
    steps = np.arange(256, dtype=np.uint16)
    wide = (steps << 8).astype("<u2")
    for data, big in ((wide.tobytes(), False), (wide.byteswap().tobytes(), True)):
        palette = read_palette(_palette([256, 0, 16], data), bits=8, signed=False, big_endian=big)
        assert np.array_equal(palette[:, 0], steps)
    narrow = read_palette(_palette([256, 0, 8], bytes(range(256))), bits=8, signed=False, big_endian=False)
    assert np.array_equal(narrow[:, 2], steps)


def test_read_palette_gives_values_beyond_the_palette_its_ends() -> None:
    palette = read_palette(_palette([4, 10, 8], bytes([1, 2, 3, 4])), bits=8, signed=False, big_endian=False)
    assert palette[:, 0].tolist() == [1] * 11 + [2, 3] + [4] * 243


def test_read_palette_of_segments() -> None:
    discrete, linear = [0, 2, 0, 10], [1, 4, 50]
    indirect = [2, 1, 4, 0]  # the linear segment once more, which begins at word 4
    words = np.asarray(discrete + linear + indirect, "<u2").tobytes()
    header = _palette([10, 0, 16], words, segmented=True)
    palette = read_palette(header, bits=8, signed=False, big_endian=False)
    assert palette[:10, 0].tolist() == [0, 10, 20, 30, 40, 50, 50, 50, 50, 50]


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\2\0\1\0\0\0\0\0" * 8])
def test_read_palette_refuses_a_damaged_palette(data: bytes) -> None:
    for segmented in (False, True):
        with pytest.raises(DicomError) as error:
            read_palette(_palette([256, 0, 16], data, segmented=segmented), bits=8, signed=False, big_endian=False)
        assert error.value.code == "failed:layout"


def test_numbers_number_integer_and_text_leave_out_what_cannot_be_read() -> None:
    header = Dataset()
    header.add_new("FrameTime", "DS", "12.5")
    header.add_new("CineRate", "IS", "30")
    header.add_new("HeartRate", "IS", "")
    header.add_new("PixelSpacing", "DS", ["1", "2"])
    header.add_new("PatientComments", "LT", " words \0")
    assert (number(header, "FrameTime"), integer(header, "CineRate"), integer(header, "FrameTime")) == (12.5, 30, None)
    assert (number(header, "HeartRate"), number(header, "StudyDate")) == (None, None)
    assert numbers(header, "PixelSpacing") == [1.0, 2.0]
    assert numbers(header, "PatientComments") == []
    assert (text(header, "PatientComments"), text(header, "StudyDate")) == ("words", "")
