"""JPEG XL frames, written by libjxl: round trips through a DICOM file, sizes before decoding, and damage."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from heart2heart.deidentify.clip import load_clip
from heart2heart.dicom.codecs import pinned_decoder
from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.image_pixel import ImagePixel, luma, read_image_pixel
from heart2heart.dicom.jpeg_xl import JPEG_XL_STARTS, JPEG_XL_SYNTAXES, jpeg_xl_size
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
from heart2heart.store.geometry import Geometry
from tests.dicom.build import COLUMNS, ROWS, speckle_frames, write

imagecodecs = pytest.importorskip("imagecodecs", reason="the extra jpegxl is not installed")
LOSSLESS, RECOMPRESSED, ANY = JPEG_XL_SYNTAXES
STAND_IN = pydicom.uid.HTJ2KLossless  # of the same length: pydicom does not write a syntax that it does not know


def write_jpeg_xl(
    path: Path, frames: list[bytes], pictures: npt.NDArray[np.uint8], syntax: str, photometric: str, per: int = 1
) -> Path:
    write(path, pictures if pictures.ndim == 4 else np.repeat(pictures[..., None], 3, axis=-1))
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = STAND_IN
    header.PhotometricInterpretation, header.SamplesPerPixel = photometric, 3 if pictures.ndim == 4 else 1
    header.PixelData = encapsulate(frames, fragments_per_frame=per, has_bot=False)
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    path.write_bytes(path.read_bytes().replace(STAND_IN.encode(), syntax.encode(), 1))
    return path


def decode(path: Path, *, gray: bool) -> npt.NDArray[np.uint8]:
    with open_dicom(path) as opened:
        image_pixel = read_image_pixel(opened.header, big_endian=False)
        reader = open_frames(find_frames(opened, image_pixel), image_pixel, strict=True)
        return reader.decode(np.arange(len(reader)), gray=gray)[1]


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("fragments", [1, 3])
def test_decode_jpeg_xl_gives_lossless_frames_back(tmp_path: Path, container: bool, fragments: int) -> None:
    pictures = speckle_frames(3, colour=True)
    frames = [imagecodecs.jpegxl_encode(picture, lossless=True, usecontainer=container) for picture in pictures]
    path = write_jpeg_xl(tmp_path / "a.dcm", frames, pictures, LOSSLESS, "RGB", fragments)
    assert np.array_equal(decode(path, gray=False), pictures)
    assert np.array_equal(decode(path, gray=True), luma(pictures))
    gray = luma(pictures)
    frames = [imagecodecs.jpegxl_encode(picture, lossless=True, usecontainer=container) for picture in gray]
    path = write_jpeg_xl(tmp_path / "b.dcm", frames, gray, LOSSLESS, "MONOCHROME1", fragments)
    assert np.array_equal(decode(path, gray=True), 255 - gray)


def test_decode_jpeg_xl_turns_xyb_and_recompressed_jpeg_to_rgb(tmp_path: Path) -> None:
    pictures = speckle_frames(2, colour=True)
    lossy = [imagecodecs.jpegxl_encode(picture, level=95, lossless=False) for picture in pictures]
    path = write_jpeg_xl(tmp_path / "a.dcm", lossy, pictures, ANY, "XYB")
    assert np.abs(decode(path, gray=False).astype(int) - pictures).mean() < 6
    jpegs = [simplejpeg.encode_jpeg(picture, quality=95, colorsubsampling="444") for picture in pictures]
    again = [imagecodecs.jpegxl_encode_jpeg(jpeg) for jpeg in jpegs]
    path = write_jpeg_xl(tmp_path / "b.dcm", again, pictures, RECOMPRESSED, "YBR_FULL_422")
    expected = np.stack([simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs]).astype(int)
    assert np.abs(decode(path, gray=False) - expected).max() <= 8  # two decoders of one JPEG
    assert np.abs(decode(path, gray=False) - expected).mean() <= 0.5


def test_load_clip_of_jpeg_xl_equals_the_native_file(tmp_path: Path) -> None:
    pictures = speckle_frames(5)
    native = write(tmp_path / "a.dcm", pictures)
    frames = [imagecodecs.jpegxl_encode(picture, lossless=True) for picture in pictures]
    other = write_jpeg_xl(tmp_path / "b.dcm", frames, pictures, LOSSLESS, "RGB")
    geometry = Geometry(size=32)
    assert np.array_equal(load_clip(other, geometry=geometry).pixels, load_clip(native, geometry=geometry).pixels)


@given(st.integers(1, 300), st.integers(1, 300), st.booleans(), st.booleans())
def test_jpeg_xl_size_is_what_the_encoder_wrote(rows: int, columns: int, lossless: bool, container: bool) -> None:
    stream = imagecodecs.jpegxl_encode(np.zeros((rows, columns), np.uint8), lossless=lossless, usecontainer=container)
    assert stream.startswith(JPEG_XL_STARTS)
    assert jpeg_xl_size(stream) == (rows, columns)


@given(st.binary(max_size=60), st.sampled_from([b"", *JPEG_XL_STARTS]))
def test_jpeg_xl_size_of_any_bytes_is_a_size_or_none(tail: bytes, start: bytes) -> None:
    size = jpeg_xl_size(start + tail)
    assert size is None or min(size) >= 1


@settings(max_examples=50)
@given(st.floats(0, 0.999), st.integers(1, 255), st.floats(0, 1))
def test_decode_jpeg_xl_of_damaged_frames_fails_with_a_code(at: float, change: int, share: float) -> None:
    stream = bytearray(imagecodecs.jpegxl_encode(luma(speckle_frames(1))[0], lossless=True))
    stream[int(at * len(stream))] ^= change
    image_pixel = ImagePixel(ROWS, COLUMNS, 1, 8, 8, False, "MONOCHROME2", 0, 1)
    ends = set()
    for damaged in (bytes(stream), bytes(stream[: int(share * len(stream))])):
        try:
            ends.add(str(pinned_decoder(LOSSLESS).decode(damaged, image_pixel, gray=True).shape))
        except DicomError as error:
            ends.add(str(error.code))
    assert ends <= {"failed:decode", f"({ROWS}, {COLUMNS})"}


def test_pinned_decoder_says_what_jpeg_xl_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heart2heart.dicom.codecs.has_jpeg_xl", lambda: False)
    with pytest.raises(DicomError, match="libjxl is not installed") as error:
        pinned_decoder(LOSSLESS)
    assert error.value.code == "failed:no_decoder"
    assert "heart2heart[jpegxl]" in str(error.value.remedy)
