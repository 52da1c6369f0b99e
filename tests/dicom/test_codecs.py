"""One pinned decoder a syntax: parity with the truth, the stream's colour over the header's, no fallback.

Real lossless files are pydicom's own. No installed library writes high-throughput JPEG 2000: one synthetic codestream
is kept here.
"""

from pathlib import Path
from typing import Any

import data_store
import numpy as np
import pydicom
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from heart2heart.dicom.codecs import NativeDecoder, Picture, PydicomDecoder, pinned_decoder
from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.image_pixel import ImagePixel, block_mean, luma, read_image_pixel
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
from tests.dicom.build import NATIVE, speckle_frames, write


def decode(path: Path, *, gray: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with open_dicom(path) as opened:
        layout = read_image_pixel(opened.header, big_endian=opened.big_endian)
        source = find_frames(opened, layout)
        reader = open_frames(source, layout, strict=True)
        return reader.decode(np.arange(len(source)), gray=gray)[1]


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_decode_of_lossless_syntaxes_gives_the_picture_back(tmp_path: Path, syntax: str) -> None:
    pictures = speckle_frames(3, colour=True)
    path = write(tmp_path / "a.dcm", pictures, syntax)
    assert np.array_equal(decode(path, gray=False), pictures)
    assert np.array_equal(decode(path, gray=True), luma(pictures))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_decode_of_planar_pictures(tmp_path: Path, syntax: str) -> None:
    pictures = speckle_frames(2, colour=True)
    path = write(tmp_path / "a.dcm", pictures, syntax, PlanarConfiguration=1)
    if syntax == ExplicitVRLittleEndian:
        planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).tobytes()
        path = write(tmp_path / "b.dcm", pictures, syntax, PlanarConfiguration=1, PixelData=planes)
    assert np.array_equal(decode(path, gray=False), pictures)


def test_native_ybr_is_converted_once(tmp_path: Path) -> None:
    red = np.full((1, 16, 16, 3), (76, 85, 255), np.uint8)  # BT.601 of pure red
    path = write(tmp_path / "a.dcm", red, PhotometricInterpretation="YBR_FULL")
    assert np.abs(decode(path, gray=False).astype(int) - (254, 0, 0)).max() <= 1
    assert (decode(path, gray=True) == 76).all()


def test_decode_of_gray_jpeg_baseline_is_the_luma_plane_and_close_to_the_picture(tmp_path: Path) -> None:
    pictures = speckle_frames(2)
    path = write(tmp_path / "a.dcm", pictures, JPEGBaseline8Bit)
    gray = decode(path, gray=True)
    assert np.abs(gray.astype(int) - luma(pictures)).mean() < 2.0
    assert np.abs(gray.astype(int) - luma(decode(path, gray=False))).max() <= 2


def test_decode_prefers_the_colour_of_the_codestream_to_that_of_the_header(tmp_path: Path) -> None:
    pictures = speckle_frames(2, colour=True)
    right = write(tmp_path / "a.dcm", pictures, JPEGBaseline8Bit)
    wrong = write(tmp_path / "b.dcm", pictures, JPEGBaseline8Bit, PhotometricInterpretation="RGB")
    assert np.array_equal(decode(wrong, gray=False), decode(right, gray=False))


def test_decode_of_12_bits_and_inverted_monochrome(tmp_path: Path) -> None:
    ramp = np.linspace(0, 4095, 64 * 64).astype("<u2").reshape(64, 64)
    tags: dict[str, Any] = {
        "SamplesPerPixel": 1, "PlanarConfiguration": None, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11,
        "PixelData": ramp.tobytes(),
    }  # fmt: skip
    blank = np.zeros((1, 64, 64, 3), np.uint8)
    path = write(tmp_path / "a.dcm", blank, PhotometricInterpretation="MONOCHROME2", **tags)
    assert np.array_equal(decode(path, gray=True)[0], (ramp >> 4).astype(np.uint8))
    assert np.array_equal(decode(path, gray=False)[0, ..., 1], (ramp >> 4).astype(np.uint8))
    path = write(tmp_path / "b.dcm", blank, PhotometricInterpretation="MONOCHROME1", **tags)
    assert np.array_equal(decode(path, gray=True)[0], 255 - (ramp >> 4).astype(np.uint8))


def test_decode_of_a_deflated_file(tmp_path: Path) -> None:
    pictures = speckle_frames(2)
    path = write(tmp_path / "a.dcm", pictures)
    import pydicom

    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(tmp_path / "b.dcm")
    assert np.array_equal(decode(tmp_path / "b.dcm", gray=False), pictures)


def test_decode_refuses_a_frame_of_another_size_before_it_decodes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", speckle_frames(2), JPEGBaseline8Bit, Rows=95)
    with pytest.raises(DicomError) as error:
        decode(path, gray=True)
    assert error.value.code == "failed:decode"


@pytest.mark.parametrize("damage", [b"", b"\xff\xd8\xff", b"no picture at all"])
def test_decode_refuses_a_frame_that_is_no_codestream(tmp_path: Path, damage: bytes) -> None:
    data = encapsulate([damage or b"\0\0"])
    path = write(tmp_path / "a.dcm", speckle_frames(1), JPEGBaseline8Bit, PixelData=data)
    with pytest.raises(DicomError) as error:
        decode(path, gray=True)
    assert error.value.code in ("failed:decode", "failed:truncated")


def test_decode_raises_for_a_damaged_frame_and_never_returns_a_picture(tmp_path: Path) -> None:
    good = simplejpeg.encode_jpeg(np.ascontiguousarray(speckle_frames(1)[0]), quality=95)
    bad = good[: len(good) // 2]
    path = write(tmp_path / "a.dcm", speckle_frames(2), JPEGBaseline8Bit, PixelData=encapsulate([good, bad]))
    with pytest.raises(DicomError):
        decode(path, gray=True)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.7.1"])
def test_pinned_decoder_names_a_syntax_without_decoder(syntax: str) -> None:
    with pytest.raises(DicomError) as error:
        pinned_decoder(syntax)
    assert error.value.code == "failed:unsupported_syntax"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.70"])
def test_pinned_decoder_names_the_remedy_for_a_decoder_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, syntax: str
) -> None:
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "available_plugins", ("another",))
    with pytest.raises(DicomError, match=r"heart2heart\[codecs\]") as error:
        pinned_decoder(syntax)
    assert error.value.code == "failed:no_decoder"


def test_native_syntaxes_need_no_plugin() -> None:
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian):
        assert pinned_decoder(syntax) is not None


@given(
    st.sampled_from(["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422"]),
    st.sampled_from([(8, 8), (8, 6), (16, 12)]),
    st.booleans(),
    st.integers(0, 1),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([ExplicitVRLittleEndian, ExplicitVRBigEndian]),
    st.booleans(),
    st.sampled_from([1, 2, 4, 8]),
)
def test_native_decoder_gives_the_picture_of_pydicom(
    photometric: str,
    bits: tuple[int, int],
    signed: bool,
    planar: int,
    size: tuple[int, int],
    syntax: str,
    gray: bool,
    shrink: int,
) -> None:
    coloured = photometric.startswith(("RGB", "YBR"))
    allocated, stored = (8, bits[1]) if coloured and bits[0] == 16 else bits
    draw = np.random.default_rng(size[0] * 10 + size[1])
    palette = draw.integers(0, 256, (2**allocated, 3), dtype=np.uint8) if photometric == "PALETTE COLOR" else None
    image_pixel = ImagePixel(
        2 * size[0],
        2 * size[1],  # 4:2:2 has pairs of columns
        3 if coloured else 1,
        allocated,
        min(stored, allocated),
        signed and not coloured,
        photometric,
        planar,
        1,
        palette,
    )
    frame = draw.integers(0, 256, image_pixel.frame_bytes, dtype=np.uint8).tobytes()
    fast = NativeDecoder(syntax).decode(frame, image_pixel, gray=gray, shrink=shrink)
    plain = PydicomDecoder(syntax, "").decode(frame, image_pixel, gray=gray, shrink=shrink)
    assert np.array_equal(fast, plain)
    assert fast.dtype == plain.dtype == np.uint8


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


@given(st.sampled_from([2, 4, 8]), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 2**31))
def test_block_mean_is_the_mean_of_each_block_rounded_half_up(
    shrink: int, rows: int, columns: int, partial: bool, seed: int
) -> None:
    size = (shrink * rows + partial, shrink * columns + partial)
    picture = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    blocks = picture[: shrink * rows, : shrink * columns].reshape(rows, shrink, columns, shrink)
    mean = block_mean(picture, shrink)
    assert mean.shape == (rows + partial, columns + partial)
    assert np.array_equal(mean[:rows, :columns], np.floor(blocks.mean(axis=(1, 3)) + 0.5))
