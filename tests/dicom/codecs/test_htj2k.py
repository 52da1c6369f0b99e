"""High-throughput JPEG 2000, which no installed library writes: one synthetic codestream is kept here."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate

from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.image_pixel import read_image_pixel
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom
from tests.dicom.build import write

# 16 x 24, lossless, written by OpenJPH from min(255, 8 x + 4 y).
CODESTREAM = bytes.fromhex(
    "ff4fff510029400000000018000000100000000000000000000000180000001000000000000000000001070101ff500008000200000002"
    "ff52000c00020001000504044001ff5c00132048505050505050505050505050484848ff64001700014f70656e4a50482056657220302e"
    "32362e332eff90000a0000000000720001ff93c025d300877400c012801001877400c011c0130027730048e400223400c01340138048e4"
    "808b7400a2100024775500c0151005584208f1da70027500100000fee00cf7c9ecb700c02ae015a0b66ddbf3f0a7a7a7427800565555ff"
    "115efdd7bf75ecba00ffd9"
)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203"])
def test_open_frames_gives_the_picture_of_htj2k_back(tmp_path: Path, syntax: str) -> None:
    path = write(tmp_path / "a.dcm", np.zeros((1, 16, 24, 3), np.uint8))
    import pydicom

    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    del header.PlanarConfiguration
    header.PixelData = encapsulate([CODESTREAM] * 2)
    header.NumberOfFrames = 2
    header.save_as(path)
    y, x = np.indices((16, 24))
    with open_dicom(path) as opened:
        layout = read_image_pixel(opened.header, big_endian=False)
        _, pictures = open_frames(find_frames(opened, layout), layout, strict=True).decode(np.arange(2), gray=True)
    assert np.array_equal(pictures, np.stack([np.minimum(255, 8 * x + 4 * y)] * 2))
