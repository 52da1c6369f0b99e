"""The lung task: who validates, what a split holds, and the real clips where they are at hand."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from heart2heart.errors import MissingInputError
from heart2heart.schema.enums import SplitRole
from pipelines.lung_data import (
    CLASSES,
    TRAINING_SHARE,
    VALIDATION_SHARE,
    build_lung_split,
    build_lung_store,
    draw_validation_patients,
    patient_folds,
)
from tests.shared_data import shared_file


@given(
    st.dictionaries(
        st.integers(0, 60).map(lambda number: f"clip{number}"),
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from((*CLASSES, "covid"))),
    ),
    st.integers(0, 50),
)
def test_draw_validation_patients_leaves_enough_to_train(clips: dict[str, tuple[str, str]], seed: int) -> None:
    chosen = draw_validation_patients(clips, seed)
    assert chosen == draw_validation_patients(dict(reversed(clips.items())), seed)
    totals = Counter(label for _, label in clips.values())
    validating = Counter(label for patient, label in clips.values() if patient in chosen)
    for label in CLASSES:
        assert totals[label] - validating[label] >= TRAINING_SHARE * totals[label]


def test_draw_validation_patients_reaches_every_class_and_follows_the_seed() -> None:
    clips = {f"{label}{index}": (f"{label}{index}", label) for label in CLASSES for index in range(20)}
    draws = [draw_validation_patients(clips, seed) for seed in range(5)]
    for chosen in draws:
        for label in CLASSES:
            assert sum(patient.startswith(label) for patient in chosen) == int(VALIDATION_SHARE * 20)
    assert len(set(draws)) > 1


@given(
    st.dictionaries(
        st.integers(0, 60).map(lambda number: f"clip{number}"),
        st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from((*CLASSES, "covid"))),
        min_size=30,
    ),
    st.integers(0, 50),
)
def test_patient_folds_tests_every_patient_once(clips: dict[str, tuple[str, str]], seed: int) -> None:
    patients = sorted({patient for patient, label in clips.values() if label in CLASSES})
    per_class = [sum(label == name for _, label in clips.values()) for name in CLASSES]
    assume(min(per_class) >= 3)
    for folds in (3, len(patients)):
        parts = patient_folds(clips, folds, seed)
        assert len(parts) == folds
        assert sorted(patient for part in parts for patient in part) == patients
        assert parts == patient_folds(dict(reversed(clips.items())), folds, seed)


def test_build_lung_store_refuses_a_folder_without_its_table(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"clips\.csv"):
        build_lung_store(tmp_path, tmp_path / "store", size=32)


def _link_clips(folder: Path, every: int) -> Path:
    """Return a folder with the images of the collection and one of so many of its videos, which take long to read."""
    collection = shared_file("lung_ultrasound/clips.csv").parent
    with (collection / "clips.csv").open(encoding="utf-8", newline="") as table:
        rows = sorted(csv.DictReader(table), key=lambda row: (row["kind"], row["site"], row["file"]))
    videos = [row for row in rows if row["kind"] == "video"]
    kept = [row for row in rows if row["kind"] == "image"] + videos[::every]
    folder.mkdir()
    for row in kept:
        (folder / row["file"]).symlink_to(collection / row["file"])
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    return folder


def test_build_lung_split_keeps_sites_and_patients_apart(tmp_path: Path) -> None:
    folder = _link_clips(tmp_path / "clips", every=5)
    store = build_lung_store(folder, tmp_path / "store", size=32, frames="even:1")
    again = build_lung_store(folder, tmp_path / "store", size=32, frames="even:1")
    assert again.digest() == store.digest()
    split = build_lung_split(folder, store, "avi-northumbria", 1, tmp_path / "split")
    rows = split.members.to_pylist()
    sites = {role: {row["site"] for row in rows if row["role"] == role} for role in SplitRole}
    assert sites[SplitRole.TEST] == {"northumbria"}
    assert sites[SplitRole.TRAIN] == sites[SplitRole.VALIDATION] == {"avi"}
    assert len(sites[SplitRole.UNLABELED]) > 2
    assert sites[SplitRole.UNLABELED].isdisjoint({"avi", "northumbria"})
    patients = [{row["patient"] for row in rows if row["role"] == role} for role in ("train", "validation", "test")]
    assert not patients[0] & patients[1]
    assert not (patients[0] | patients[1]) & patients[2]
    assert np.ptp(store.read(np.array([0]))) > 0

    within = build_lung_split(folder, store, "avi, fold 2", 1, tmp_path / "within")
    rows = within.members.to_pylist()
    tested = {row["patient"] for row in rows if row["role"] == SplitRole.TEST}
    learned = {row["patient"] for row in rows if row["role"] in (SplitRole.TRAIN, SplitRole.VALIDATION)}
    assert all(patient.startswith("avi-") for patient in tested | learned)
    assert tested
    assert not tested & learned
    assert "northumbria" in {row["site"] for row in rows if row["role"] == SplitRole.UNLABELED}


@pytest.mark.slow
def test_build_lung_store_reads_every_clip(tmp_path: Path) -> None:
    folder = shared_file("lung_ultrasound/clips.csv").parent
    store = build_lung_store(folder, tmp_path / "store", size=32, frames="even:1")
    assert len(store.clips) == 139
    split = build_lung_split(folder, store, "avi-northumbria", 1, tmp_path / "split")
    test_clips = Counter(row["view"] for row in split.members.to_pylist() if row["role"] == SplitRole.TEST)
    assert test_clips == {"pneumonia": 23, "normal": 10}  # one frame of each clip
