"""The reduced decode of JPEG 2000 against the means of decoded blocks, on real and on synthetic pictures."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import data_store
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import get_frame
from scipy.ndimage import gaussian_filter

from heart2heart.dicom.codecs import Jpeg2000Decoder
from heart2heart.dicom.image_pixel import ImagePixel, block_mean
from heart2heart.dicom.jpeg2000 import decode_reduced, is_reducible, wavelet_levels
from heart2heart.errors import DicomError

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"
SYNTAX = "1.2.840.10008.1.2.4.90"
# Gray levels of 256 between a reduced decode and the means of decoded blocks, at sides divided by 2, 4 and 8.
MEAN_TOLERANCE = {2: 1.5, 4: 2.0, 8: 2.5}
DRIFT_TOLERANCE = 1.0


def encode(picture: npt.NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG2000", no_jp2=True, **options)
    return stream.getvalue()


def layout(picture: npt.NDArray[np.uint8], photometric: str = "MONOCHROME2") -> ImagePixel:
    samples = 1 if picture.ndim == 2 else 3
    return ImagePixel(picture.shape[0], picture.shape[1], samples, 8, 8, False, photometric, 0, 1)


def real_picture() -> npt.NDArray[np.uint8]:
    frame = get_frame(dcmread(REAL).PixelData, 5, number_of_frames=120)
    return np.asarray(simplejpeg.decode_jpeg(frame, colorspace="GRAY")[..., 0], np.uint8)


@pytest.mark.parametrize("irreversible", [False, True])
@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_decode_reduced_agrees_with_the_mean_of_decoded_blocks_on_a_real_frame(shrink: int, irreversible: bool) -> None:
    frame = encode(real_picture(), irreversible=irreversible)
    decoder, image_pixel = Jpeg2000Decoder(SYNTAX, "pylibjpeg"), layout(real_picture())
    reduced = decoder.decode(frame, image_pixel, gray=True, shrink=shrink).astype(int)
    full = block_mean(decoder.decode(frame, image_pixel, gray=True), shrink).astype(int)
    assert np.array_equal(reduced, decode_reduced(frame, shrink))
    assert np.abs(reduced - full).mean() <= MEAN_TOLERANCE[shrink]
    assert abs((reduced - full).mean()) <= DRIFT_TOLERANCE


@given(st.integers(8, 60), st.integers(8, 60), st.sampled_from([2, 4, 8]), st.integers(0, 99))
def test_decode_reduced_keeps_the_position_of_smooth_pictures(rows: int, columns: int, shrink: int, seed: int) -> None:
    rows, columns = rows * shrink, columns * shrink
    draw = np.random.default_rng(seed).uniform(0, 255, (rows, columns))
    smooth = gaussian_filter(draw, 2 * shrink)
    smooth = 255 * (smooth - smooth.min()) / max(float(np.ptp(smooth)), 1e-9)
    picture = np.rint(smooth).astype(np.uint8)
    reduced = decode_reduced(encode(picture, num_resolutions=4, irreversible=False), shrink).astype(int)
    full = block_mean(picture, shrink).astype(int)
    inner = np.s_[1:-1, 1:-1]  # the last sample has no neighbour ahead
    assert reduced.shape == full.shape
    assert np.abs(reduced - full)[inner].mean() <= 2.0


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT"])
def test_decode_of_reduced_colour_agrees_with_the_mean_of_decoded_blocks(photometric: str) -> None:
    y, x = np.indices((64, 96))
    picture = np.stack([2 * x, 3 * y, 255 - x - y], axis=-1).astype(np.uint8)
    frame = encode(picture, irreversible=False, mct=1)
    decoder, image_pixel = Jpeg2000Decoder(SYNTAX, "pylibjpeg"), layout(picture, photometric)
    assert is_reducible(frame, image_pixel, 4)
    reduced = decoder.decode(frame, image_pixel, gray=False, shrink=4).astype(int)
    assert np.abs(reduced - block_mean(picture, 4))[:-1, :-1].max() <= 2
    assert decoder.decode(frame, image_pixel, gray=True, shrink=4).shape == (16, 24)


def test_is_reducible_only_for_what_a_lower_resolution_can_stand_for() -> None:
    picture = np.zeros((64, 64), np.uint8)
    frame, plain = encode(picture, num_resolutions=3), layout(picture)
    assert wavelet_levels(frame) == 2
    assert [is_reducible(frame, plain, shrink) for shrink in (1, 2, 4, 8)] == [False, True, True, False]
    palette = replace(plain, palette=np.zeros((256, 3), np.uint8))  # means of indices into a table mean nothing
    for other in (palette, replace(plain, signed=True), replace(plain, bits_stored=6), replace(plain, samples=3)):
        assert not is_reducible(frame, other, 2)
    shifted = frame[:16] + struct.pack(">2I", 1, 1) + frame[24:]
    assert not is_reducible(shifted, plain, 2)
    assert wavelet_levels(frame[:45]) is None


def test_decode_without_enough_levels_decodes_every_pixel() -> None:
    picture = real_picture()
    frame = encode(picture, num_resolutions=2, irreversible=False)
    decoder = Jpeg2000Decoder(SYNTAX, "pylibjpeg")
    assert np.array_equal(decoder.decode(frame, layout(picture), gray=True, shrink=4), block_mean(picture, 4))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=4), st.floats(0, 1))
def test_decode_of_damaged_streams_fails_with_a_code(changes: list[tuple[float, int]], share: float) -> None:
    picture = (np.indices((48, 48)).sum(axis=0) * 2).astype(np.uint8)
    frame = bytearray(encode(picture, irreversible=False))
    for position, value in changes:
        frame[int(position * len(frame))] = value
    codes = set()
    for damaged in (bytes(frame), bytes(frame[: int(share * len(frame))])):
        try:
            decoded = Jpeg2000Decoder(SYNTAX, "pylibjpeg").decode(damaged, layout(picture), gray=True, shrink=4)
        except DicomError as error:
            codes.add(str(error.code))
        else:
            codes.add(f"{decoded.shape}")
    assert codes <= {"failed:decode", "(12, 12)"}
