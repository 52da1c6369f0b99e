"""Header and pixels of the DICOM dataset of a recording."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from heart2heart.deidentify.header import technical_dataset
from heart2heart.dicom.timing import tagged_phases
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.views import view_from_code
from heart2heart.synthetic.cardiac_motion import END_SYSTOLE
from heart2heart.synthetic.config import HospitalConfig, Overlays
from heart2heart.synthetic.dicom_file import SYNTAX_UIDS, StudyHeader, recording_dataset, set_pixel_data
from heart2heart.synthetic.dicom_file import Bytes as Frames
from heart2heart.synthetic.patient import InventedIdentity, SyntheticPatient, make_uid
from heart2heart.synthetic.study import record_mode


def _frames(colour: bool) -> Frames:
    ramp = np.linspace(0, 255, 32 * 40).reshape(1, 32, 40)
    gray = np.concatenate([ramp, ramp[:, ::-1]]).astype(np.uint8)
    if not colour:
        return gray
    rgb = np.repeat(gray[..., None], 3, axis=3)
    rgb[:, 8:24, 8:24] = (200, 40, 0)
    return rgb


def _dataset(frames: Frames, syntax: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAX_UIDS[syntax]
    dataset.NumberOfFrames = len(frames)
    set_pixel_data(dataset, frames, syntax)
    return dataset


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("syntax", ["rle", "native"])
def test_set_pixel_data_of_lossless_syntaxes_gives_the_same_pixels_back(syntax: str, colour: bool) -> None:
    frames = _frames(colour)
    dataset = _dataset(frames, syntax)
    np.testing.assert_array_equal(dataset.pixel_array, frames)
    assert dataset.PhotometricInterpretation == ("RGB" if colour else "MONOCHROME2")


@pytest.mark.parametrize("colour", [False, True])
def test_set_pixel_data_of_jpeg_is_ybr_422_and_close(colour: bool) -> None:
    frames = _frames(colour)
    dataset = _dataset(frames, "jpeg")
    assert dataset.PhotometricInterpretation == "YBR_FULL_422"
    expected = frames if colour else np.repeat(frames[..., None], 3, axis=3)
    assert float(np.abs(dataset.pixel_array.astype(int) - expected).mean()) < 4.0
    assert float(dataset.LossyImageCompressionRatio) > 1.0


@pytest.mark.parametrize("colour", [False, True])
def test_set_pixel_data_of_a_palette_shows_nearly_the_same_colours(colour: bool) -> None:
    frames = _frames(colour)
    dataset = _dataset(frames, "palette")
    shown = apply_color_lut(dataset.pixel_array, dataset) >> 8
    expected = frames if colour else np.repeat(frames[..., None], 3, axis=3)
    assert int(np.abs(shown.astype(int) - expected).mean(axis=(0, 1, 2)).max()) <= 12


STUDY = StudyHeader(
    InventedIdentity("SYNTHETIC^PATIENT 0000", "T0", datetime.date(1950, 1, 1), "F"),
    datetime.datetime(2020, 1, 2, 9, 0),
    make_uid(0, "study"),
    make_uid(0, "series"),
    "ACC0",
)
PATIENT = SyntheticPatient(heart_rate=66.0)


def _types(mode: ClipMode, hospital: HospitalConfig) -> set[tuple[int, int]]:
    recording = record_mode("A4C", mode, PATIENT, hospital, STUDY.caption, np.random.default_rng(0))
    dataset = recording_dataset(recording, make_uid(0, mode), STUDY, hospital, 1, 66.0)
    for item in dataset.SequenceOfUltrasoundRegions:
        assert 0 <= item.RegionLocationMinX0 < item.RegionLocationMaxX1 < dataset.Columns
        assert 0 <= item.RegionLocationMinY0 < item.RegionLocationMaxY1 < dataset.Rows
    return {(item.RegionSpatialFormat, item.RegionDataType) for item in dataset.SequenceOfUltrasoundRegions}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (ClipMode.B_MODE, set()),
        (ClipMode.COLOUR, {(1, 2), (5, 14)}),
        (ClipMode.M_MODE, {(2, 1)}),
        (ClipMode.SPECTRAL, {(3, 3)}),
    ],
)
def test_recording_dataset_gives_regions_of_the_mode(
    mode: ClipMode, expected: set[tuple[int, int]], hospital: HospitalConfig
) -> None:
    types = _types(mode, hospital) - {(5, 13)}
    if mode == ClipMode.SPECTRAL:
        types = {(spatial, 3 if spatial == 3 else data) for spatial, data in types}  # pulsed or continuous
    assert types == {(1, 1)} | expected


def test_recording_dataset_may_hold_a_colour_region_and_one_for_the_ecg(hospital: HospitalConfig) -> None:
    other = hospital.model_copy(update={"colour_as_own_region": False, "ecg_region": True})
    assert _types(ClipMode.COLOUR, other) == {(1, 2), (5, 13), (5, 14), (4, 10)}


def test_recording_dataset_of_a_clip_is_synthetic_and_has_timing(hospital: HospitalConfig) -> None:
    recording = record_mode("A4C", ClipMode.B_MODE, PATIENT, hospital, STUDY.caption, np.random.default_rng(0))
    dataset = recording_dataset(recording, make_uid(0, "clip"), STUDY, hospital, 7, 66.0, view_code=True)
    assert dataset.SOPClassUID == UID("1.2.840.10008.5.1.4.1.1.3.1")
    assert dataset.SyntheticData == "YES"
    assert dataset.NumberOfFrames == len(recording.frames)
    assert float(dataset.FrameTime) == pytest.approx(1000.0 / hospital.frame_rate, rel=1e-3)
    assert dataset.FrameIncrementPointer == 0x00181063
    assert dataset.HeartRate == 66
    assert dataset.BurnedInAnnotation == "YES"
    assert view_from_code(dataset.ViewCodeSequence[0].CodeValue) == "A4C"
    plane = dataset.SequenceOfUltrasoundRegions[0]
    assert (plane.PhysicalUnitsXDirection, plane.PhysicalUnitsYDirection) == (3, 3)
    assert 10.0 < plane.PhysicalDeltaY * (plane.RegionLocationMaxY1 - plane.RegionLocationMinY0) < 25.0


def test_recording_dataset_may_give_frame_times_as_a_vector(hospital: HospitalConfig) -> None:
    other = hospital.model_copy(update={"frame_time_vector": True})
    recording = record_mode("PLAX", ClipMode.B_MODE, PATIENT, other, STUDY.caption, np.random.default_rng(0))
    dataset = recording_dataset(recording, make_uid(0, "clip"), STUDY, other, 1, 66.0)
    assert "FrameTime" not in dataset
    assert dataset.FrameIncrementPointer == 0x00181065
    assert len(dataset.FrameTimeVector) == dataset.NumberOfFrames
    assert dataset.FrameTimeVector[0] == 0.0


def test_recording_dataset_of_a_still_is_a_single_image(hospital: HospitalConfig) -> None:
    recording = record_mode("PLAX", ClipMode.M_MODE, PATIENT, hospital, STUDY.caption, np.random.default_rng(0))
    dataset = recording_dataset(recording, make_uid(0, "still"), STUDY, hospital, 1, 66.0)
    assert dataset.SOPClassUID == UID("1.2.840.10008.5.1.4.1.1.6.1")
    assert "NumberOfFrames" not in dataset
    assert "FrameTime" not in dataset


def test_record_mode_burns_the_banner_in_outside_the_sector_or_leaves_it_out(hospital: HospitalConfig) -> None:
    top = hospital.machine.top - 4
    shown = record_mode("A4C", ClipMode.B_MODE, PATIENT, hospital, STUDY.caption, np.random.default_rng(0))
    assert shown.frames[0, :top].max() > 150
    plain = hospital.model_copy(update={"overlays": Overlays(banner="none", gray_bar=False)})
    assert (
        not record_mode("A4C", ClipMode.B_MODE, PATIENT, plain, STUDY.caption, np.random.default_rng(0))
        .frames[0, :top]
        .any()
    )


def test_recording_dataset_of_an_empty_maker_may_hold_a_private_creator(hospital: HospitalConfig) -> None:
    other = hospital.model_copy(update={"manufacturer": "", "private_creator": "HALCYON"})
    recording = record_mode("A4C", ClipMode.B_MODE, PATIENT, other, STUDY.caption, np.random.default_rng(0))
    dataset = recording_dataset(recording, make_uid(0, "clip"), STUDY, other, 1, 66.0)
    assert dataset.Manufacturer == ""
    assert dataset[0x0019, 0x0010].value == "HALCYON"


@pytest.mark.parametrize("form", ["r_waves", "frames_of_interest"])
def test_recording_dataset_may_tag_the_beat_of_the_simulated_heart(hospital: HospitalConfig, form: str) -> None:
    other = hospital.model_copy(update={"frames": (50, 50), "phase_form": form})
    recording = record_mode("A4C", ClipMode.B_MODE, PATIENT, other, STUDY.caption, np.random.default_rng(0))
    dataset = recording_dataset(recording, make_uid(0, "clip"), STUDY, other, 1, PATIENT.heart_rate, phase_tags=True)
    phases = tagged_phases(technical_dataset(dataset), recording.times * 1000, 50)
    assert set(phases.values()) == ({"ED"} if form == "r_waves" else {"ED", "ES"})
    step = (recording.times[1] - recording.times[0]) * PATIENT.heart_rate / 60
    for index, phase in phases.items():
        beats = recording.start + recording.times[index] * PATIENT.heart_rate / 60
        off = beats - (0.0 if phase == "ED" else END_SYSTOLE)
        assert abs(off - round(off)) <= step / 2 + 1e-6
