"""CAMEO in miniature: frames by patient and view, the official split by patient."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from heart2heart.datasets import cameo
from heart2heart.datasets.add_dataset import add_dataset
from heart2heart.errors import MissingInputError
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import read_official_splits
from tests.datasets import miniature


def test_scan_reads_views_and_the_split_by_patient(tmp_path: Path) -> None:
    report = add_dataset("cameo", miniature.cameo(tmp_path / "in"), tmp_path / "store", size=32)
    assert (report.accepted, report.patients) == (16, 3)
    assert Counter(report.labels.values()) == {"PLAX": 3, "PSAX": 3, "A4C": 3, "A2C": 3, "SUBCOSTAL": 3}
    patients = {row["clip"]: row["patient"] for row in FrameStore.open(tmp_path / "store").clips.to_pylist()}
    rows = read_official_splits(tmp_path / "store", "cameo").to_pylist()
    assert {(patients[row["clip"]], row["role"]) for row in rows} == {
        ("cameo-001", "train"), ("cameo-002", "train"), ("cameo-005", "test"),
    }  # fmt: skip
    assert {check.what: check.difference for check in report.count_checks} == {
        "patients": "97 fewer", "training patients": "78 fewer", "test patients": "19 fewer",
    }  # fmt: skip
    assert any("1 labels are outside the vocabulary" in note for note in report.notes)
    assert any("1 PNG files are not in a folder NNN/VIEW" in note for note in report.notes)


def test_test_patients_are_those_of_the_published_list() -> None:
    assert len(cameo.TEST_PATIENTS) == 20
    assert min(cameo.TEST_PATIENTS) == 5
    assert max(cameo.TEST_PATIENTS) == 79


def test_scan_takes_the_folder_itself_and_refuses_others(tmp_path: Path) -> None:
    root = miniature.cameo(tmp_path / "in")
    assert cameo.scan(root / "CAMEO") == cameo.scan(root)
    for empty in (tmp_path / "nothing", tmp_path):
        with pytest.raises(MissingInputError, match="CAMEO"):
            cameo.scan(empty)
    (tmp_path / "bare" / "001").mkdir(parents=True)
    with pytest.raises(MissingInputError, match="no PNG"):
        cameo.scan(tmp_path / "bare")
