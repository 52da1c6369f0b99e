"""JPEG Extended of 8 and of 12 bits: real files, pixels known from elsewhere, damage, and no other decoder."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import simplejpeg
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from heart2heart.deidentify.clip import load_clip
from heart2heart.dicom.codecs import pinned_decoder
from heart2heart.dicom.image_pixel import ImagePixel
from heart2heart.dicom.jpeg import JPEG_EXTENDED, check_segments, codestream_size, jpeg_precision
from heart2heart.errors import DicomError
from heart2heart.store.geometry import Geometry
from tests.dicom.build import region, speckle_frames, write

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
TWELVE = ImagePixel(1024, 256, 1, 16, 12, False, "MONOCHROME2", 0, 1)


@pytest.fixture(scope="module")
def real() -> bytes:
    """The one frame of a real file of 12 bits (nuclear medicine: no ultrasound of 12 bits is public)."""
    return next(generate_frames(pydicom.dcmread(BUNDLED / "JPGExtended.dcm").PixelData, number_of_frames=1))


def decode(frame: bytes, layout: ImagePixel = TWELVE, *, shrink: int = 1) -> npt.NDArray[np.uint8]:
    return pinned_decoder(JPEG_EXTENDED).decode(frame, layout, gray=True, shrink=shrink)


def test_jpeg_precision_is_that_of_the_stream(real: bytes) -> None:
    assert (jpeg_precision(real), codestream_size(real)) == (12, (1024, 256))
    eight = simplejpeg.encode_jpeg(np.zeros((8, 16, 3), np.uint8))
    assert (jpeg_precision(eight), codestream_size(eight)) == (8, (8, 16))
    assert jpeg_precision(b"\xff\xd8\xff\xc1\x00") is None
    assert jpeg_precision(b"\xff\x4f\xff\x51" + bytes(40)) is None


def test_pinned_decoder_keeps_the_upper_8_bits_of_a_real_frame_of_12(real: bytes) -> None:
    picture = decode(real)
    assert picture.shape == (1024, 256)
    assert (picture[420, 140], picture[230, 120], picture.max()) == (244 >> 4, 95 >> 4, 264 >> 4)
    assert decode(real, shrink=4).shape == (256, 64)
    inverted = ImagePixel(1024, 256, 1, 16, 12, False, "MONOCHROME1", 0, 1)
    assert np.array_equal(decode(real, inverted), 255 - picture)


def test_pinned_decoder_gives_the_pixels_of_dcmtk(real: bytes, tmp_path: Path) -> None:
    tool = shutil.which("dcmdjpeg")
    if tool is None:
        assert not os.environ.get("CI"), "CI must have dcmtk"
        pytest.skip("dcmtk is not installed")
    subprocess.run([tool, str(BUNDLED / "JPGExtended.dcm"), str(tmp_path / "a.dcm")], check=True, capture_output=True)
    assert np.array_equal(decode(real), pydicom.dcmread(tmp_path / "a.dcm").pixel_array >> 4)


def extended(path: Path, frames: list[bytes], pictures: npt.NDArray[np.uint8], **tags: Any) -> Path:
    write(path, pictures, ExplicitVRLittleEndian, PixelData=encapsulate(frames), **tags)
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = pydicom.uid.UID(JPEG_EXTENDED)
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    return path


def test_load_clip_of_8_bits_gives_the_frames_of_baseline(tmp_path: Path) -> None:
    pictures = speckle_frames(4, colour=True)
    encoded = [simplejpeg.encode_jpeg(np.ascontiguousarray(p), quality=95, colorsubsampling="422") for p in pictures]
    # Every baseline stream is an extended one when its SOF marker says so (T.81 section 4.11).
    sequential = [frame.replace(b"\xff\xc0", b"\xff\xc1", 1) for frame in encoded]
    path = extended(tmp_path / "a.dcm", sequential, pictures, PhotometricInterpretation="YBR_FULL_422")
    extended_clip = load_clip(path, geometry=Geometry("tmed2", 48))
    baseline_clip = load_clip(write(tmp_path / "b.dcm", pictures, JPEGBaseline8Bit), geometry=Geometry("tmed2", 48))
    assert np.array_equal(extended_clip.pixels, baseline_clip.pixels)
    assert (extended_clip.facts.mode, extended_clip.facts.transfer_syntax, extended_clip.facts.flags) == (
        "colour",
        JPEG_EXTENDED,
        (),
    )


def test_load_clip_of_12_bits_gives_frames(real: bytes, tmp_path: Path) -> None:
    tags = {
        "Rows": 1024, "Columns": 256, "SamplesPerPixel": 1, "PlanarConfiguration": None, "BitsAllocated": 16,
        "BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": "MONOCHROME2",
        "SequenceOfUltrasoundRegions": [region((0, 0, 255, 1023))],
    }  # fmt: skip
    clip = load_clip(
        extended(tmp_path / "a.dcm", [real] * 2, speckle_frames(2), **tags), geometry=Geometry("tmed2", 64)
    )
    assert clip.pixels.shape == (2, 64, 64)
    assert clip.pixels.max() > 0
    assert clip.facts.mode == "b_mode"


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_pinned_decoder_refuses_a_cut_frame_of_12_bits(real: bytes, keep: float) -> None:
    with pytest.raises(DicomError) as error:
        decode(real[: int(len(real) * keep)])
    assert error.value.code == "failed:decode"


@pytest.mark.parametrize(
    "layout",
    [
        ImagePixel(1024, 256, 3, 8, 8, False, "RGB", 0, 1),
        ImagePixel(1024, 256, 1, 8, 8, False, "MONOCHROME2", 0, 1),
        ImagePixel(1024, 255, 1, 16, 12, False, "MONOCHROME2", 0, 1),
    ],
)
def test_pinned_decoder_refuses_a_header_that_contradicts_the_stream(real: bytes, layout: ImagePixel) -> None:
    with pytest.raises(DicomError) as error:
        decode(real, layout)
    assert error.value.code == "failed:decode"


def test_check_segments_refuses_what_ends_gdcm() -> None:
    start, scan = bytes.fromhex("ffd8ffc0000b080020002001011100"), bytes.fromhex("ffda0008010100003f00")
    check_segments(start + scan)
    for damaged in (start + b"\xe1\xe2" + scan, start + start[2:] + scan, start[:2] + scan, start, b""):
        with pytest.raises(DicomError, match="segments of a frame are damaged"):
            check_segments(damaged)
