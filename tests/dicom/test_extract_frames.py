"""The two speeds of decoding give one result, within the tolerance stated here."""

from dataclasses import replace
from pathlib import Path

import data_store
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from scipy.ndimage import gaussian_filter

from heart2heart.deidentify.clip import load_clip
from heart2heart.dicom.codecs import Decoder, Picture, TurboJpegDecoder, pinned_decoder
from heart2heart.dicom.extract_frames import choose_shrink, extract_frames
from heart2heart.dicom.frame_reader import PerFrameReader
from heart2heart.dicom.image_pixel import ImagePixel, block_mean, read_image_pixel
from heart2heart.dicom.inspect_clip import ClipInspection
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.store.geometry import Geometry
from tests.dicom.build import COLUMNS, ROWS, speckle_frames, write

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"
MEAN_TOLERANCE, WORST_TOLERANCE = 0.1, 3  # gray levels of 256 between the fast and the full path
NOTHING = np.zeros((0, 1, 1), np.uint8)


class FullThenSmall:
    """Decodes every pixel, then takes block means: what the DCT scale stands for."""

    def decode(self, frame: bytes, layout: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        return block_mean(TurboJpegDecoder().decode(frame, layout, gray=gray), shrink)


def developed(path: Path, decoder: Decoder | None, geometry: Geometry) -> npt.NDArray[np.uint8]:
    with open_dicom(path) as opened:
        layout = read_image_pixel(opened.header, big_endian=opened.big_endian)
        source = find_frames(opened, layout)
        whole = (0, 0, layout.columns, layout.rows)
        seen = ClipInspection(ClipMode.B_MODE, whole, np.ones((layout.rows, layout.columns), bool), (), NOTHING)
        reel = PerFrameReader(source, decoder or pinned_decoder(opened.syntax), layout, strict=True)
        chosen = np.arange(0, len(source), 10)
        return extract_frames(reel, seen, (1.0, 1.0), chosen, geometry)[1]


@pytest.fixture
def reduce_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pictures of these tests be reduced, which are smaller than those that may be."""
    monkeypatch.setattr("heart2heart.dicom.extract_frames._LEAST_SIDE", 1)


@pytest.mark.parametrize("size", [64, 80, 112, 160, 224, 320])
def test_extract_frames_fast_and_full_path_agree_on_a_real_clip(size: int) -> None:
    geometry = Geometry("tmed2", size)
    fast = developed(REAL, None, geometry).astype(int)
    full = developed(REAL, FullThenSmall(), geometry).astype(int)
    apart = np.abs(fast - full)
    assert apart.mean() <= MEAN_TOLERANCE
    assert apart.max() <= WORST_TOLERANCE
    assert abs((fast - full).mean()) <= 0.1  # no drift in brightness


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
@pytest.mark.parametrize("size", [16, 50])
def test_extract_frames_of_lossless_syntaxes_are_equal(tmp_path: Path, syntax: str, size: int) -> None:
    pictures = speckle_frames(2, colour=True)
    native = write(tmp_path / "a.dcm", pictures, ExplicitVRLittleEndian)
    other = write(tmp_path / "b.dcm", pictures, syntax)
    geometry = Geometry("tmed2", size)
    assert np.array_equal(developed(native, None, geometry), developed(other, None, geometry))


def test_extract_frames_of_jpeg_2000_are_those_of_native_pixels_within_its_tolerance(
    tmp_path: Path, reduce_small: None
) -> None:
    pictures = np.stack([gaussian_filter(picture, (2, 2, 0)) for picture in speckle_frames(2)])
    native = write(tmp_path / "a.dcm", pictures, ExplicitVRLittleEndian)
    other = write(tmp_path / "b.dcm", pictures, JPEG2000Lossless)
    for size in (16, 50):
        geometry = Geometry("tmed2", size)
        apart = developed(native, None, geometry).astype(int) - developed(other, None, geometry)
        assert np.abs(apart).mean() <= 2.5
        assert abs(apart.mean()) <= 1.0
    whole = Geometry("tmed2", 100)  # decoded without reduction
    assert np.array_equal(developed(native, None, whole), developed(other, None, whole))


@given(st.integers(1, 1500), st.integers(1, 1500), st.integers(8, 256), st.floats(0.3, 3))
def test_choose_shrink_is_the_largest_that_leaves_enough_pixels(
    height: int, width: int, size: int, tall: float
) -> None:
    geometry = Geometry("tmed2", size)
    shrink = choose_shrink(height, width, (tall, 1.0), geometry)
    spot = geometry.letterbox(height * tall, width)
    assert shrink in (1, 2, 4, 8)
    least = [max(side, 128) for side in (spot.height, spot.width)]
    if shrink > 1:
        assert height / shrink >= least[0]
        assert width / shrink >= least[1]
    if shrink < 8:
        assert height / (2 * shrink) < least[0] or width / (2 * shrink) < least[1]


def test_extract_frames_keeps_a_reduced_pixel_only_if_its_whole_block_is_in_the_sector(
    tmp_path: Path, reduce_small: None
) -> None:
    path = write(tmp_path / "a.dcm", np.full((2, ROWS, COLUMNS, 3), 200, np.uint8), JPEGBaseline8Bit)
    mask = np.ones((64, 64), bool)
    mask[:, :3] = False
    seen = ClipInspection(ClipMode.B_MODE, (2, 2, 66, 66), mask, (), NOTHING)
    with open_dicom(path) as opened:
        layout = read_image_pixel(opened.header, big_endian=False)
        reel = PerFrameReader(find_frames(opened, layout), TurboJpegDecoder(), layout, strict=True)
        numbers, pixels, inside = extract_frames(reel, seen, (1.0, 1.0), np.arange(2), Geometry("tmed2", 16))
    assert numbers.tolist() == [0, 1]
    assert pixels[:, :, 0].max() < 60  # the first block holds blanked columns, so it is blank
    assert (np.abs(pixels[:, 2:-2, 3:-2].astype(int) - 200) <= 2).all()
    assert not inside[:, 0].any()
    assert inside[2:-2, 3:-2].all()


def test_extract_frames_decodes_only_the_chosen_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reduce_small: None
) -> None:
    calls: list[tuple[bool, int]] = []
    whole = TurboJpegDecoder.decode

    def noted(self: TurboJpegDecoder, frame: bytes, layout: ImagePixel, *, gray: bool, shrink: int = 1) -> Picture:
        calls.append((gray, shrink))
        return whole(self, frame, layout, gray=gray, shrink=shrink)

    monkeypatch.setattr(TurboJpegDecoder, "decode", noted)
    path = write(tmp_path / "a.dcm", speckle_frames(60, colour=True), JPEGBaseline8Bit)
    clip = load_clip(path, geometry=Geometry("tmed2", 16), rule="even:3")
    assert clip.facts.mode == "colour"
    assert len(clip.frames) == 3
    assert calls.count((True, 4)) == 3  # kept: luma only, reduced
    assert sum(not gray for gray, _ in calls) == 3  # the colour
    assert calls.count((True, 1)) == 6  # the sector


def test_extract_frames_refuses_more_frames_than_a_worker_may_hold_before_it_decodes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", speckle_frames(2))
    with open_dicom(path) as opened:
        layout = replace(read_image_pixel(opened.header, big_endian=False), declared_frames=2000)
        reel = PerFrameReader(find_frames(opened, layout), pinned_decoder(opened.syntax), layout, strict=True)
        seen = ClipInspection(ClipMode.B_MODE, (0, 0, COLUMNS, ROWS), np.ones((ROWS, COLUMNS), bool), (), NOTHING)
        with pytest.raises(DicomError, match="1 GiB") as error:
            extract_frames(reel, seen, (1.0, 1.0), np.arange(1025), Geometry("tmed2", 1024))
    assert error.value.code == "failed:bounds"
