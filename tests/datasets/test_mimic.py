"""MIMIC-IV-ECHO in miniature: DICOM by its record list, through the ordinary ingest."""

from pathlib import Path

import pytest

from heart2heart.datasets.add_dataset import add_dataset
from heart2heart.datasets.mimic import add_mimic, read_record_list
from heart2heart.errors import ConfigError, LabelError, MissingInputError
from heart2heart.store.frame_store import FrameStore
from tests.datasets import miniature
from tests.dicom.build import speckle_frames, write


def test_add_mimic_adds_listed_files_and_counts_the_rest(tmp_path: Path) -> None:
    root = miniature.mimic(tmp_path / "in")
    report = add_mimic(root, tmp_path / "store", key=tmp_path / "key", size=32, rule="even:2")
    assert (report.expected, report.found, report.codes) == (6, 3, {"accepted": 3})
    assert (report.clips, report.frames, report.patients) == (3, 6, 2)
    assert "3 listed files are not in this folder" in report.notes
    assert [(known.expected, known.found) for known in report.count_checks] == [(7228, 2), (4572, 2)]
    assert report.count_checks[0].what == "studies in the list of version 1.0.1"
    store = FrameStore.open(tmp_path / "store")
    assert set(store.clips["site"].to_pylist()) == {"mimic"}
    assert not {"100", "200"} & set(store.clips["patient"].to_pylist())
    assert not report.labels
    again = add_mimic(root, tmp_path / "store", key=tmp_path / "key", size=32, rule="even:2")
    assert (again.clips, again.codes) == (0, {"accepted": 3})


def test_add_mimic_counts_headers_that_split_a_patient(tmp_path: Path) -> None:
    root = miniature.mimic(tmp_path / "in")
    write(
        root / "files/p10/p100/s900/900_0001.dcm", speckle_frames(3, seed=1), PatientID="101", SOPInstanceUID="1.2.3.1"
    )
    report = add_mimic(root, tmp_path / "store", key=tmp_path / "key", size=32, rule="even:2")
    assert "the headers name 3 patients, the list 2" in " ".join(report.notes)


def test_read_record_list_refuses_bad_lists(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no echo-record-list"):
        read_record_list(tmp_path)
    table = miniature.table(tmp_path / "echo-record-list.csv", miniature.RECORD_HEAD, ["1,2,,files/a.dcm"])
    with pytest.raises(MissingInputError, match="none of the listed files"):
        read_record_list(tmp_path)
    table.write_text("subject_id,study_id\n1,2\n")
    with pytest.raises(LabelError, match="lacks a column"):
        read_record_list(tmp_path)
    with pytest.raises(ConfigError, match="needs a key"):
        add_dataset("mimic", tmp_path, tmp_path / "store")


def test_add_mimic_compares_with_the_version_whose_counts_the_list_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = miniature.mimic(tmp_path / "in")
    monkeypatch.setattr("heart2heart.datasets.mimic.COUNTS", {"1.0.1": (1, 1), "1.0": (2, 2)})
    report = add_mimic(root, tmp_path / "store", key=tmp_path / "key", size=32, rule="even:2")
    assert {check.what: check.difference for check in report.count_checks} == {
        "studies in the list of version 1.0": "same",
        "patients in the list of version 1.0": "same",
    }
