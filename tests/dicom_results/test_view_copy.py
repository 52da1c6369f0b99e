"""Copies with a view code: the same pixels, new UIDs, and an original that stays as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from heart2heart.dicom.reader import open_dicom
from heart2heart.dicom_results.result_files import write_result
from heart2heart.dicom_results.view_copy import view_copy, view_copy_uid
from heart2heart.errors import DicomError
from tests.dicom_results.samples import MADE_AT, NAME, answered, study_clips, validator, with_answer, write_clip
from tests.prediction.samples import MODEL, answer

SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEGBaseline8Bit, RLELossless,
)  # fmt: skip


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_view_copy_has_the_same_pixel_data_in_the_same_syntax(syntax: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.dcm", 1, syntax=syntax)
    before = path.read_bytes()
    write_result(view_copy(answered(path, answer("one")), path, made_at=MADE_AT), tmp_path / "copy.dcm")
    assert path.read_bytes() == before
    original, copy = dcmread(path), dcmread(tmp_path / "copy.dcm")
    assert copy.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID == syntax
    with open_dicom(path) as one, open_dicom(tmp_path / "copy.dcm") as two:
        assert bytes(one.data[one.pixel_data_offset :]) == bytes(two.data[two.pixel_data_offset :])
    changed = {element.keyword for element in copy if element.keyword not in original}
    changed |= {element.keyword for element in original if copy[element.tag] != element}
    assert changed == {
        "ContributingEquipmentSequence", "DerivationDescription", "SOPInstanceUID", "SeriesDescription",
        "SeriesInstanceUID", "SeriesNumber", "SourceImageSequence", "ViewCodeSequence",
    }  # fmt: skip


def test_view_copy_names_the_view_the_original_and_the_model(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.dcm", 1)
    clip = answered(path, answer("one"))
    copy = view_copy(clip, path, made_at=MADE_AT)
    assert (copy.ViewCodeSequence[0].CodeValue, copy.ViewCodeSequence[0].CodingSchemeDesignator) == ("399214001", "SCT")
    source = copy.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == clip.instance == "1.2.99.1.1"
    assert MODEL.weights_sha256[:16] in copy.ContributingEquipmentSequence[0].ContributionDescription
    assert (str(copy.PatientName), copy.StudyInstanceUID) == (NAME, "1.2.98.1")
    assert copy.SOPInstanceUID == copy.file_meta.MediaStorageSOPInstanceUID == view_copy_uid(clip) != clip.instance
    assert copy.SeriesInstanceUID != "1.2.97.1"
    assert "CodingSchemeIdentificationSequence" not in copy
    private = with_answer(clip, views=("A5C",))
    assert view_copy(private, path, made_at=MADE_AT).CodingSchemeIdentificationSequence


def test_view_copy_uid_is_derived_from_clip_model_and_view(tmp_path: Path) -> None:
    clip, several, nothing, failed = study_clips(tmp_path)
    other = MODEL.model_copy(update={"weights_sha256": "c" * 64})
    uids = [view_copy_uid(each) for each in (clip, with_answer(clip, model=other), with_answer(clip, views=("PLAX",)))]
    assert len(set(uids)) == 3
    assert view_copy_uid(clip) == uids[0]
    assert [view_copy_uid(each) for each in (several, nothing, failed)] == [None] * 3


def test_view_copy_removes_signatures_of_the_original(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.dcm", 1, DigitalSignaturesSequence=[], MACParametersSequence=[])
    copy = view_copy(answered(path, answer("one")), path, made_at=MADE_AT)
    assert "DigitalSignaturesSequence" not in copy
    assert "MACParametersSequence" not in copy


def test_view_copy_refuses_files_that_it_cannot_copy_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.dcm", 1)
    clip = answered(path, answer("one"))
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DicomError, match="cannot be copied"):
        view_copy(clip, cut, made_at=MADE_AT)
    monkeypatch.setattr("heart2heart.dicom_results.view_copy.MAX_BYTES", 1000)
    with pytest.raises(DicomError, match="too large"):
        view_copy(clip, path, made_at=MADE_AT)


def test_view_copy_adds_no_fault_that_a_validator_finds(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.dcm", 1)
    write_result(view_copy(answered(path, answer("one")), path, made_at=MADE_AT), tmp_path / "copy.dcm")
    dciodvfy, faults = validator("dciodvfy"), []
    for file in (path, tmp_path / "copy.dcm"):
        done = subprocess.run([dciodvfy, file], capture_output=True, text=True, check=False)
        faults.append({line for line in done.stderr.splitlines() if line.startswith("Error")})
    assert faults[1] <= faults[0]
    subprocess.run([validator("dcmftest"), tmp_path / "copy.dcm"], capture_output=True, check=True)


def test_view_copy_keeps_a_deflated_file_deflated(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "plain.dcm", 1)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "clip.dcm")
    clip = answered(tmp_path / "clip.dcm", answer("one"))
    write_result(view_copy(clip, clip.path, made_at=MADE_AT), tmp_path / "copy.dcm")
    copy = dcmread(tmp_path / "copy.dcm")
    assert copy.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert copy.PixelData == dataset.PixelData
