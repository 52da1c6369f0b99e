"""The report of a study, read by highdicom, pydicom and dcmtk, and never taken for labels."""

from __future__ import annotations

import logging
import subprocess
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import dcmread
from pydicom.sr._concepts_dict import concepts

from heart2heart.dicom_results.answer_report import answer_report, report_uid
from heart2heart.dicom_results.answered_clip import AnsweredClip, group_by_study
from heart2heart.dicom_results.codes import REASONS, STATUSES
from heart2heart.errors import ConfigError
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from tests.dicom_results.samples import (
    ACCESSION,
    ANSWERS,
    IDENTITY,
    MADE_AT,
    NAME,
    PATIENT,
    answered,
    study_clips,
    validator,
    with_answer,
    write_clip,
)
from tests.labels.hospital import make_hospital
from tests.prediction.samples import MODEL, answer


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[AnsweredClip]:
    return study_clips(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(clips: list[AnsweredClip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.dcm"
    answer_report(clips, made_at=MADE_AT).save_as(path, enforce_file_format=True)
    return path


def test_answer_report_is_read_by_highdicom(report: Path, clips: list[AnsweredClip]) -> None:
    from highdicom.sr import ComprehensiveSR, MeasurementReport, srread

    document = srread(report)
    assert isinstance(document, ComprehensiveSR)
    assert isinstance(document.content, MeasurementReport)
    groups = document.content.get_image_measurement_groups()  # by TID 1501
    images = [group.source_images[0].referenced_sop_instance_uid for group in groups]
    assert images == [clip.instance for clip in clips] == [f"1.2.99.1.{index}" for index in range(4)]
    assert len({group.tracking_uid for group in groups}) == len(groups)
    evaluations = [
        [(item.name.value, item.value.value) for item in group.get_qualitative_evaluations()]  # type: ignore[union-attr]
        for group in groups
    ]
    assert evaluations == [
        [("ANSWER", "ANSWERED"), ("111031", "399214001")],
        [("ANSWER", "SET"), ("POSSIBLE_VIEW", "399214001"), ("POSSIBLE_VIEW", "399139001"), ("REASON", "AMBIGUOUS")],
        [("ANSWER", "NOT_ANSWERED"), ("REASON", "MODE_SPECTRAL")],
        [("ANSWER", "FAILED"), ("REASON", "ERROR")],
    ]
    certainties = [[(one.name.value, one.value) for one in group.get_measurements()] for group in groups]
    assert certainties == [[("111012", 75.0)], [("111012", 75.0), ("111012", 25.0)], [], []]


def test_answer_report_names_the_algorithm_and_each_probability_its_view(report: Path) -> None:
    group = dcmread(report).ContentSequence[-1].ContentSequence[1]  # the set of views
    items = [(item.ConceptNameCodeSequence[0].CodeValue, item) for item in group.ContentSequence]
    texts = [(code, item.TextValue) for code, item in items if item.ValueType == "TEXT"]
    assert texts[1:] == [
        ("111001", MODEL.name), ("111003", MODEL.version), ("111002", f"weights sha256 {MODEL.weights_sha256}"),
        ("111002", "scope sha256 none"), ("111002", f"split sha256 {MODEL.split_sha256}"),
        ("111002", "certificate sha256 none"), ("121106", "one of A4C, PLAX"),
    ]  # fmt: skip
    certainties = [item for code, item in items if code == "111012"]
    modifiers = [item.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning for item in certainties]
    assert modifiers == ["Apical four chamber", "Parasternal long axis"]


def test_answer_report_has_the_patient_and_study_of_its_clips(report: Path) -> None:
    document = dcmread(report)
    assert (str(document.PatientName), document.PatientID, document.AccessionNumber) == (NAME, PATIENT, ACCESSION)
    assert (document.StudyInstanceUID, document.StudyDescription, document.SyntheticData) == ("1.2.98.1", "TTE", "YES")
    assert (document.ContentDate, document.ContentTime) == ("20260102", "030405")
    assert (document.CompletionFlag, document.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert document.SeriesDescription == f"Views by run {MODEL.weights_sha256[:8]}"
    assert document.SeriesInstanceUID != "1.2.97.1"
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert len(evidence.ReferencedSOPSequence) == len(ANSWERS)


@pytest.mark.parametrize("program", ["dsrdump", "dciodvfy", "dcmftest"])
def test_answer_report_passes_independent_validators(report: Path, program: str) -> None:
    done = subprocess.run([validator(program), report], capture_output=True, text=True, check=True)
    messages = (done.stdout + done.stderr).splitlines()
    faults = [line for line in messages if line.startswith(("Error", "E:", "W:", "no:"))]
    assert not [line for line in faults if "0x001c" not in line]  # Synthetic Data, newer than the program


def test_answer_report_is_the_same_again(clips: list[AnsweredClip]) -> None:
    one, again = (answer_report(clips, made_at=MADE_AT) for _ in range(2))
    assert one == again
    assert report_uid(clips) == report_uid(clips[::-1]) == one.SOPInstanceUID
    later = answer_report(clips, made_at=datetime(2027, 1, 1))
    assert later.SOPInstanceUID == one.SOPInstanceUID  # the same answers
    renamed = [with_answer(clip, file="elsewhere") for clip in clips]
    assert report_uid(renamed) == report_uid(clips)


def test_report_uid_follows_what_the_report_says(clips: list[AnsweredClip]) -> None:
    other = MODEL.model_copy(update={"weights_sha256": "c" * 64})  # of the same name
    changes: list[list[AnsweredClip]] = [
        clips,
        clips[:-1],
        [with_answer(clip, model=other) for clip in clips],
        [with_answer(clips[0], views=("PLAX",)), *clips[1:]],
        [with_answer(clips[0], probabilities={"A4C": 0.7, "PLAX": 0.3}), *clips[1:]],
    ]
    assert len({report_uid(changed) for changed in changes}) == len(changes)
    series = {answer_report(changed, made_at=MADE_AT).SeriesInstanceUID for changed in changes}
    assert len(series) == 2  # one a model


def test_answer_report_refuses_two_studies_and_two_models(clips: list[AnsweredClip], tmp_path: Path) -> None:
    other = MODEL.model_copy(update={"weights_sha256": "c" * 64})
    with pytest.raises(ConfigError, match="one model"):
        answer_report([clips[0], with_answer(clips[1], model=other)], made_at=MADE_AT)
    (second, *_) = study_clips(tmp_path, study=2)
    with pytest.raises(ConfigError, match="one study"):
        answer_report([clips[0], second], made_at=MADE_AT)


def test_answer_report_copies_values_that_break_the_standard_and_shows_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    name, study = "Doehringer\\Anna^^^^^^", "19431122" * 4
    tags: dict[str, Any] = {"PatientSex": "QQ", "StudyTime": "19431122x", "StudyID": study, "PatientName": name}
    with pytest.warns(UserWarning, match="Invalid value|exceeds"):  # of the writer of this file
        path = write_clip(tmp_path / "clip.dcm", 1, **tags)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="highdicom"):
        document = answer_report([answered(path, answer("one"))], made_at=MADE_AT)
    assert [str(document[name].value) for name in ("PatientSex", "StudyTime")] == ["QQ", "19431122x"]
    assert "oehringer" in str(document.PatientName)
    out, err = capfd.readouterr()
    shown = (out + err + caplog.text).lower()
    assert not any(word in shown for word in IDENTITY)


def test_group_by_study_makes_one_report_for_each_patient_of_a_study(tmp_path: Path) -> None:
    files = [write_clip(tmp_path / "a", 1), write_clip(tmp_path / "b", 2, PatientID="PLANTED-OTHER")]
    studies = group_by_study([answered(file, answer("one")) for file in files])
    reports = [answer_report(study, made_at=MADE_AT) for study in studies]
    assert [report.PatientID for report in reports] == [PATIENT, "PLANTED-OTHER"]
    assert reports[0].SOPInstanceUID != reports[1].SOPInstanceUID


def test_read_dicom_views_takes_no_answer_of_a_model_for_a_label(tmp_path: Path) -> None:
    hospital = make_hospital(tmp_path)
    clip = answered(hospital.files / "0.dcm", answer("one"))
    answer_report([clip], made_at=MADE_AT).save_as(tmp_path / "report.dcm", enforce_file_format=True)
    label_store = LabelStore(tmp_path / "labels.db")
    summary = import_labels(tmp_path / "report.dcm", label_store, hospital.store, form="sr", key=hospital.key)
    assert (summary.rows, summary.new) == (0, 0)


def test_codes_fit_into_dicom_and_are_unique() -> None:
    codes = [*STATUSES.values(), *REASONS.values()]
    assert all(0 < len(value) <= 16 and 0 < len(meaning) <= 64 for value, _, meaning in codes)
    assert max(Counter(codes).values()) == 1
    dcm = {code for values in concepts["DCM"].values() for code in cast("dict[str, Any]", values)}
    assert {"111031", "111012", "121106", "113000", "109103", "121322"} <= dcm
