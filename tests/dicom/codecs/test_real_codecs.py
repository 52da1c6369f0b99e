"""Real lossless files of pydicom's own, in several syntaxes and natively: the pinned plugins give the same pixels."""

from pathlib import Path

import data_store
import numpy as np
import pydicom
import pytest

from heart2heart.dicom.codecs.decoders import Picture
from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.image_pixel import read_image_pixel
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom

FOLDERS = (Path(pydicom.__file__).parent / "data" / "test_files", Path(data_store.__file__).parent / "data")


def decoded(name: str) -> Picture:
    path = next(folder / name for folder in FOLDERS if (folder / name).exists())
    with open_dicom(path) as opened:
        layout = read_image_pixel(opened.header, big_endian=opened.big_endian)
        reader = open_frames(find_frames(opened, layout), layout, strict=True)
        return reader.decode(np.arange(len(reader)), gray=True)[1]


@pytest.mark.parametrize(
    ("compressed", "native"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
        ("emri_small_RLE.dcm", "emri_small.dcm"),
    ],
)
def test_open_frames_gives_the_same_picture_of_compressed_and_native_files(compressed: str, native: str) -> None:
    expected = decoded(native)
    assert expected.max() > expected.min()
    assert np.array_equal(decoded(compressed), expected)
