from __future__ import annotations

import os
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import data_store
import numpy as np
import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from heart2heart.deidentify.burned_in_text import TextSearch
from heart2heart.deidentify.clean_copy import clean_copy
from heart2heart.deidentify.clip import KnownContentError, PreparedClip, load_clip
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.deidentify.text_finding import TextFinding
from heart2heart.errors import DicomError
from heart2heart.store.geometry import Geometry
from tests.deidentify.test_burned_in_text import WORDS, drawn, tissue
from tests.dicom.build import region, speckle_frames, write

DOOR = Pseudonymizer(Key(b"k" * 32))
STORE = Path(data_store.__file__).parent / "data"
BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
REAL = [
    # file, mean and largest difference of the frames, gray levels
    (STORE / "color3d_jpeg_baseline.dcm", 1.0, 4),
    (STORE / "JPGLosslessP14SV1_1s_1f_8b.dcm", 0.0, 0),
    (STORE / "OBXXXX1A_2frame.dcm", 0.0, 0),
    (STORE / "US1_UNCI.dcm", 0.0, 0),
    (STORE / "US1_J2KR.dcm", 2.5, 60),  # JPEG 2000 is decoded at reduced resolution, the copy is not
    (STORE / "gdcm-US-ALOKA-16_big.dcm", 0.0, 0),
]


def copied(path: Path, to: Path) -> Dataset:
    """Write the clean copy of `path` and read it back."""
    copy = clean_copy(path, pseudonymizer=DOOR, site="a")
    copy.dataset.save_as(to, enforce_file_format=True)
    return dcmread(to)


def frames(path: Path) -> PreparedClip:
    """Ingest one file."""
    return load_clip(path, geometry=Geometry("tmed2", 112), rule="even:4", pseudonymizer=DOOR, site="a")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless])
def test_clean_copy_is_dicom_that_describes_its_changes(syntax: str, tmp_path: Path) -> None:
    path = write(tmp_path / "one", speckle_frames(5), syntax, SyntheticData="YES", StageName="Peak", PatientAge="097Y")
    copy = copied(path, tmp_path / "clean.dcm")
    assert copy.file_meta.TransferSyntaxUID == (JPEGBaseline8Bit if syntax == JPEGBaseline8Bit else RLELossless)
    assert (copy.PatientIdentityRemoved, copy.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    assert (copy.BurnedInAnnotation, copy.SyntheticData, copy.StageName) == ("NO", "YES", "peak")
    codes = [item.CodeValue for item in copy.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113107", "113108"]
    assert copy.PatientAge == "090Y"
    assert all(str(copy[name].value).startswith("2.25.") for name in ("SOPInstanceUID", "StudyInstanceUID"))
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    assert copy.PatientID == DOOR.patient("a", "TEST-1")
    assert "20200229" not in str(copy)
    assert not [element for element in copy.iterall() if element.tag.is_private]
    pixels = copy.pixel_array
    assert pixels.shape == (5, 96, 128, 3)
    assert pixels[:, :8].max() <= 8  # the caption beside the region is gone; a codec may ring by a few levels
    assert pixels[:, 40:60, 50:70].mean() > 20


@pytest.mark.parametrize(("path", "mean", "largest"), REAL, ids=[row[0].name for row in REAL])
def test_clean_copy_gives_ingest_the_same_frames(
    path: Path, mean: float, largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = TextFinding(None, 0.0, is_unsure=False)
    monkeypatch.setattr(TextSearch, "finding", lambda search, known=None: nothing)  # some hold marks that are blanked
    copy = clean_copy(path, pseudonymizer=DOOR, site="a")
    copy.dataset.save_as(tmp_path / "clean", enforce_file_format=True)
    before, after = frames(path), frames(tmp_path / "clean")
    difference = np.abs(before.pixels.astype(np.int16) - after.pixels)
    assert difference.mean() <= mean
    assert difference.max() <= largest
    same = (
        "mode",
        "manufacturer",
        "model",
        "box",
        "spacing_mm",
        "frame_time_ms",
        "heart_rate",
        "stage",
        "view_code",
        "view_name",
        "stage_number",
        "n_stages",
    )
    assert {n: getattr(after.facts, n) for n in same} == {n: getattr(before.facts, n) for n in same}
    assert [row["time_ms"] for row in after.frames] == [row["time_ms"] for row in before.frames]


@pytest.mark.parametrize(
    "path", [BUNDLED / "examples_ybr_color.dcm", STORE / "color-pl.dcm"], ids=lambda path: path.name
)
def test_clean_copy_without_a_trusted_region_moves_the_sector_by_at_most_a_cell(path: Path, tmp_path: Path) -> None:
    copied(path, tmp_path / "clean")
    before, after = frames(path).facts, frames(tmp_path / "clean").facts
    assert before.flags == after.flags
    assert max(abs(a - b) for a, b in zip(before.box, after.box, strict=True)) <= 4


def test_clean_copy_leaves_damaged_frames_out_and_corrects_the_times(tmp_path: Path) -> None:
    path = write(tmp_path / "one", speckle_frames(6), JPEGBaseline8Bit)
    raw = bytearray(path.read_bytes())
    starts = [index for index in range(len(raw)) if raw[index : index + 3] == b"\xff\xd8\xff"]
    raw[starts[2] + 2 : starts[2] + 40] = bytes(38)
    path.write_bytes(bytes(raw))
    copy = copied(path, tmp_path / "clean.dcm")
    assert copy.NumberOfFrames == 5
    assert [float(step) for step in copy.FrameTimeVector] == [0, 25, 50, 25, 25]


def written(path: Path) -> Path:
    """Write a clip whose whole picture is the scan, with a name in it."""
    pictures = np.repeat(drawn(tissue(6), WORDS, size=16)[..., None], 3, axis=-1)
    return write(path, pictures, SequenceOfUltrasoundRegions=None)


def test_clean_copy_blanks_or_refuses_writing_in_the_scan(tmp_path: Path) -> None:
    path = written(tmp_path / "one")
    assert "text_suspected" in frames(path).facts.flags
    copy = clean_copy(path, pseudonymizer=DOOR, site="a")
    assert copy.text_blanked
    copy.dataset.save_as(tmp_path / "clean", enforce_file_format=True)
    ink = (drawn(np.zeros((1, 240, 320), np.uint8), WORDS, size=16) > 100)[0]
    assert dcmread(tmp_path / "clean").pixel_array[:, ink].max() == 0
    assert "text_suspected" not in frames(tmp_path / "clean").facts.flags
    with pytest.raises(DicomError) as refused:
        clean_copy(path, pseudonymizer=DOOR, site="a", text="refuse")
    assert refused.value.code == "excluded:text_in_scan"


@pytest.mark.parametrize(("share", "is_unsure"), [(0.1, True), (0.3, False)], ids=["a doubt", "much of the scan"])
def test_clean_copy_refuses_text_that_it_cannot_bound(
    share: float, is_unsure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextSearch, "finding", lambda search, known=None: TextFinding(None, share, is_unsure=is_unsure))
    path = write(tmp_path / "one", speckle_frames(5))
    with pytest.raises(DicomError, match="where it ends") as refused:
        clean_copy(path, pseudonymizer=DOOR, site="a")
    assert refused.value.code == "excluded:text_in_scan"
    copy = clean_copy(path, pseudonymizer=DOOR, site="a", text="best_effort").dataset
    assert "BurnedInAnnotation" not in copy
    assert "113101" not in [item.CodeValue for item in copy.DeidentificationMethodCodeSequence]


def test_clean_copy_blanks_text_that_two_frames_show_and_claims_it(tmp_path: Path) -> None:
    speckled = np.random.default_rng(4).normal(60, 8, (12, 240, 320)).clip(0, 255).astype(np.uint8)
    ink = drawn(np.zeros((1, 240, 320), np.uint8), WORDS, size=16)[0] > 100
    speckled[5:7, ink] = 240
    path = write(tmp_path / "one", np.repeat(speckled[..., None], 3, axis=-1), SequenceOfUltrasoundRegions=None)
    copy = clean_copy(path, pseudonymizer=DOOR, site="a")
    copy.dataset.save_as(tmp_path / "clean", enforce_file_format=True)
    clean = dcmread(tmp_path / "clean")
    assert copy.text_blanked
    assert clean.BurnedInAnnotation == "NO"
    assert clean.pixel_array[5:7, ink].max() == 0
    assert "113101" in [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]


def test_clean_copy_of_a_picture_too_small_to_search_claims_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "one", speckle_frames(6)[:, 40:62], SequenceOfUltrasoundRegions=None)
    copy = copied(path, tmp_path / "clean.dcm")
    assert "BurnedInAnnotation" not in copy
    assert "113101" not in [item.CodeValue for item in copy.DeidentificationMethodCodeSequence]


def test_clean_copy_does_not_repeat_known_content(tmp_path: Path) -> None:
    path = write(tmp_path / "one")
    content = clean_copy(path, pseudonymizer=DOOR, site="a").content
    with pytest.raises(KnownContentError):
        clean_copy(path, pseudonymizer=DOOR, site="a", known={content})


def test_clean_copy_is_read_by_dcmtk(tmp_path: Path) -> None:
    dcmdump = shutil.which("dcmdump")
    if dcmdump is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have dcmtk: the copies have not been read by it")
        pytest.skip("dcmtk is not installed: the copies have not been read by it")
    copy = clean_copy(BUNDLED / "examples_ybr_color.dcm", pseudonymizer=DOOR, site="a")
    buffer = BytesIO()
    copy.dataset.save_as(buffer, enforce_file_format=True)
    (tmp_path / "clean.dcm").write_bytes(buffer.getvalue())
    done = subprocess.run([dcmdump, "-q", "+P", "0012,0062", tmp_path / "clean.dcm"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "YES" in done.stdout


KEPT: dict[str, Any] = {
    "SeriesNumber": 3, "InstanceNumber": 7, "PatientSize": 1.72, "PatientWeight": 81, "BodyPartExamined": "HEART",
    "TransducerType": "SECTOR_PHASED", "UltrasoundColorDataPresent": 1,
}  # fmt: skip


def test_clean_copy_keeps_what_research_needs(tmp_path: Path) -> None:
    item = region()
    item.ReferencePixelX0, item.ReferencePixelY0, item.TransducerFrequency = -12, 300, 2500
    path = write(
        tmp_path / "one", **KEPT, SequenceOfUltrasoundRegions=[item], StudyDescription="TTE of Jane Doe",
        ImageType=["ORIGINAL", "PRIMARY", "EPICARDIAL", "0011"], ViewName="A4C Doe", StageName="Rest Jane",
    )  # fmt: skip
    copy = copied(path, tmp_path / "clean.dcm")
    assert {name: copy[name].value for name in KEPT} == KEPT
    assert (copy.StudyDescription, copy.ViewName, copy.StageName) == ("tte", "A4C", "rest")
    assert (copy.NumberOfStages, copy.NumberOfViewsInStage) == (None, None)  # required beside a stage, unknown here
    assert list(copy.ImageType) == ["DERIVED", "PRIMARY", "EPICARDIAL", "0011"]
    kept = copy.SequenceOfUltrasoundRegions[0]
    assert (kept.ReferencePixelX0, kept.ReferencePixelY0, kept.TransducerFrequency) == (-12, 300, 2500)
    assert "113105" in [item.CodeValue for item in copy.DeidentificationMethodCodeSequence]


def test_clean_copy_drops_numbers_and_terms_that_could_identify(tmp_path: Path) -> None:
    path = write(
        tmp_path / "one", SeriesNumber=4711471, InstanceNumber=19431122, PatientSize=2.45, PatientWeight=310,
        BodyPartExamined="JANE DOE", TransducerType="DOE", ImageType=["ORIGINAL", "PRIMARY", "DOE", "1943"],
    )  # fmt: skip
    copy = copied(path, tmp_path / "clean.dcm")
    assert (copy.SeriesNumber, copy.InstanceNumber) == (None, None)
    assert not {"PatientSize", "PatientWeight", "BodyPartExamined", "TransducerType"} & set(copy.dir())
    assert list(copy.ImageType) == ["DERIVED", "PRIMARY"]


@pytest.mark.parametrize(
    ("name", "kind", "frames"),
    [
        ("OBXXXX1A_2frame.dcm", UltrasoundMultiFrameImageStorage, 2),  # stated as a single image
        ("color-pl.dcm", UltrasoundImageStorage, None),  # a retired class
        ("JPGLosslessP14SV1_1s_1f_8b.dcm", UltrasoundImageStorage, None),
    ],
)
def test_clean_copy_has_the_sop_class_of_its_frames(name: str, kind: str, frames: int | None, tmp_path: Path) -> None:
    copy = copied(STORE / name, tmp_path / "clean.dcm")
    assert copy.SOPClassUID == copy.file_meta.MediaStorageSOPClassUID == kind
    assert copy.get("NumberOfFrames") == frames
    assert "PatientOrientation" in copy
