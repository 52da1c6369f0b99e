"""A picture passes the checks of DICOM: the same frames, sector, mode and flags from the same pixels."""

from __future__ import annotations

from pathlib import Path

import data_store
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image, ImageDraw

from heart2heart.datasets.load_picture import load_file, load_picture
from heart2heart.deidentify.clip import KnownContentError, load_clip
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import DicomError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag
from heart2heart.store.geometry import Geometry
from tests.datasets import miniature
from tests.dicom.build import speckle_frames, write

SMALL = Geometry("tmed2", 64)
TEXT = {ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_BLANKED}
TEXTURE = {ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_QUARANTINED}  # noise over more than a quarter of the scan
POWER_DOPPLER = Path(data_store.__file__).parent / "data" / "US1_UNCR.dcm"


def _with_text(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Enlarge and darken the pictures, and write a name into the scan of each."""
    written = []
    for frame in np.repeat(np.repeat(frames // 4, 4, axis=1), 4, axis=2):
        picture = Image.fromarray(frame)
        draw = ImageDraw.Draw(picture)
        draw.rectangle((190, 180, 330, 206), fill=(0, 0, 0))
        draw.text((196, 184), "DOE JANE 1950", fill=(230, 230, 230), font_size=16)
        written.append(np.asarray(picture))
    return np.stack(written)


def _tiff(path: Path, frames: npt.NDArray[np.uint8]) -> Path:
    pages = [Image.fromarray(frame) for frame in frames]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


@pytest.mark.parametrize(
    ("frames", "mode", "flags"),
    [
        (speckle_frames(12), ClipMode.B_MODE, {ClipFlag.NO_REGION}),
        (speckle_frames(12, colour=True), ClipMode.COLOUR, {ClipFlag.NO_REGION}),
        (speckle_frames(1), ClipMode.B_MODE, {ClipFlag.NO_REGION, *TEXTURE}),
        (_with_text(speckle_frames(8)), ClipMode.B_MODE, {ClipFlag.NO_REGION, *TEXT}),
    ],
    ids=["gray", "colour", "still", "text"],
)
@pytest.mark.parametrize("name", ["x.tif", "x.avi"])
def test_load_picture_of_the_pixels_of_a_dicom_clip_gives_its_frames_and_flags(
    tmp_path: Path, frames: npt.NDArray[np.uint8], mode: ClipMode, flags: set[ClipFlag], name: str
) -> None:
    dicom = write(tmp_path / "clip.dcm", frames, SequenceOfUltrasoundRegions=None, FrameTime=None)
    if name == "x.tif":
        picture = _tiff(tmp_path / name, frames)
    else:
        picture = miniature.video(tmp_path / name, frames, "ffv1", pixel_format="bgr0")
    expected = load_clip(dicom, geometry=SMALL, rule="even:4")
    clip = load_picture(picture, geometry=SMALL, rule="even:4")
    assert clip.facts.mode == expected.facts.mode == mode
    assert set(clip.facts.flags) == set(expected.facts.flags) == flags
    assert clip.facts.box == expected.facts.box
    assert (clip.facts.rows, clip.facts.columns, clip.facts.n_source) == (*frames.shape[1:3], len(frames))
    if name == "x.tif":  # the decoder of the video computes luma in other rounding
        np.testing.assert_array_equal(clip.pixels, expected.pixels)
        assert clip.frames == expected.frames
    assert np.abs(clip.pixels.astype(int) - expected.pixels).max() <= 2


def test_load_picture_of_a_real_power_doppler_still_gives_what_its_dicom_gives(tmp_path: Path) -> None:
    Image.fromarray(pydicom.dcmread(POWER_DOPPLER).pixel_array).save(tmp_path / "x.png")
    expected = load_clip(POWER_DOPPLER, geometry=SMALL)
    clip = load_picture(tmp_path / "x.png", geometry=SMALL)
    np.testing.assert_array_equal(clip.pixels, expected.pixels)
    assert clip.facts.mode == expected.facts.mode == ClipMode.COLOUR
    assert {*clip.facts.flags, ClipFlag.NOT_A_HEART_PRESET} == set(expected.facts.flags)
    assert ClipFlag.TEXT_SUSPECTED in clip.facts.flags


def test_load_picture_blanks_what_is_outside_the_sector(tmp_path: Path) -> None:
    frames = speckle_frames(6)
    plain = load_picture(_tiff(tmp_path / "caption.tif", frames), geometry=SMALL)
    frames[:, 2:6, 4:60:2] = 0
    np.testing.assert_array_equal(plain.pixels, load_picture(_tiff(tmp_path / "x.tif", frames), geometry=SMALL).pixels)


def test_load_picture_refuses_a_picture_without_a_scan_unless_it_is_whole(tmp_path: Path) -> None:
    sparse = np.zeros((60, 80), np.uint8)
    sparse[::6, ::6] = 200
    path = miniature.png(tmp_path / "x.png", sparse)
    with pytest.raises(DicomError) as caught:
        load_picture(path, geometry=SMALL)
    assert caught.value.code == "excluded:no_scan_area"
    clip = load_picture(path, geometry=SMALL, whole=True)
    assert clip.facts.flags == (ClipFlag.NO_SECTOR,)
    assert clip.facts.box == (0, 0, 80, 60)


def test_load_picture_tells_an_m_mode_sweep(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(30, 250, (120, 1), np.uint8)
    path = miniature.png(tmp_path / "x.png", np.repeat(rows, 160, axis=1))
    assert load_picture(path, geometry=SMALL).facts.mode == ClipMode.M_MODE


def test_load_picture_knows_its_content_and_keeps_no_phases(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "x.tif", speckle_frames(6))
    pseudonymizer = Pseudonymizer(Key(bytes(32)))
    clip = load_picture(path, geometry=SMALL, rule="ed_es:2", pseudonymizer=pseudonymizer)
    assert clip.content == pseudonymizer.content(path)
    assert ClipFlag.NO_PHASE_TAGS in clip.facts.flags
    assert clip.row("A", "clip")["source"] == "pictures"
    with pytest.raises(KnownContentError):
        load_picture(path, geometry=SMALL, pseudonymizer=pseudonymizer, known={clip.content})


def test_load_file_reads_dicom_and_pictures_by_their_content(tmp_path: Path) -> None:
    dicom = write(tmp_path / "dicom.png", speckle_frames(4))
    picture = _tiff(tmp_path / "picture.tif", speckle_frames(4)).rename(tmp_path / "picture.dcm")
    assert load_file(dicom, geometry=SMALL).source == "dicom"
    assert load_file(picture, geometry=SMALL).source == "pictures"
    (tmp_path / "note.png").write_text("neither")
    with pytest.raises(DicomError, match="neither DICOM nor a picture") as caught:
        load_file(tmp_path / "note.png", geometry=SMALL)
    assert caught.value.code == "excluded:not_dicom"
    with pytest.raises(DicomError) as missing:
        load_file(tmp_path / "missing.png", geometry=SMALL)
    assert missing.value.code == "failed:unreadable"
