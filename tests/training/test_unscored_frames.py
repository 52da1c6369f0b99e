"""The frames of patients who are never scored: for the pool, and to adapt a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heart2heart.errors import LeakageError, RunError
from heart2heart.schema.adaptation import AdaptationSettings
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.training.data import TrainData
from heart2heart.training.run import algorithm_title, method_facts
from heart2heart.training.unscored_frames import (
    AdaptationPatients,
    check_not_scored,
    choose_patients,
    select_frames,
    transductive_rows,
)
from tests.training.adaptation_study import AdaptationStudy, adaptation_study, scored_patients, write_clips


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> AdaptationStudy:
    return adaptation_study(tmp_path_factory.mktemp("study"), adaptation=0.3)


def opened(study: AdaptationStudy, **changes: Any) -> TrainData:
    config = study.tiny().config(method={"name": "fixmatch"}, **changes)
    return TrainData.open(SplitManifest.load(study.split), FrameStores.open([study.store]), config)


def test_open_adds_frames_of_patients_who_are_never_scored(study: AdaptationStudy) -> None:
    plain, more = opened(study), opened(study, pool={"transductive": ["B"]})
    assert set(plain.unlabeled) <= set(more.unlabeled)
    by_row = {row["row"]: row for row in more.frames.frames.to_pylist()}
    added = [by_row[row] for row in set(more.unlabeled) - set(plain.unlabeled)]
    assert {row["site"] for row in added} == {"B"}
    assert not {row["patient"] for row in added} & scored_patients(more.split)
    assert len({row["patient"] for row in added}) == 3  # one of three folds of eight labeled patients
    assert (plain.train.rows == more.train.rows).all()


def test_algorithm_title_names_the_hospitals_that_training_saw(study: AdaptationStudy) -> None:
    config = study.tiny().config(method={"name": "fixmatch"}, pool={"transductive": ["B"]})
    assert algorithm_title(config) == "FixMatch, with unlabeled frames of B"
    assert method_facts(config).transductive == ("B",)


@pytest.mark.parametrize(("site", "message"), [("A", "'A' is not held out"), ("Z", "'Z' is not held out")])
def test_transductive_rows_refuses_other_hospitals(study: AdaptationStudy, site: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        opened(study, pool={"transductive": [site]})


def test_transductive_rows_refuses_a_hospital_whose_patients_are_all_scored(tmp_path: Path) -> None:
    study = adaptation_study(tmp_path, adaptation=0)
    with pytest.raises(RunError, match="the split scores every patient of B"):
        transductive_rows(SplitManifest.load(study.split), FrameStores.open([study.store]), ("B",))


def test_open_refuses_transductive_frames_without_a_method_that_reads_them(study: AdaptationStudy) -> None:
    config = study.tiny().config(pool={"transductive": ["B"]})
    with pytest.raises(RunError, match="labels_only reads no unlabeled frame"):
        TrainData.open(SplitManifest.load(study.split), FrameStores.open([study.store]), config)


def test_choose_patients_takes_everybody_who_is_not_scored(study: AdaptationStudy, tmp_path: Path) -> None:
    split, store = SplitManifest.load(study.split), FrameStore.open(study.store)
    chosen = choose_patients(split, store, "B", AdaptationSettings())
    everybody = {patient for patient in store.clips["patient"].to_pylist() if patient.startswith("B")}
    assert set(chosen.names) == everybody - scored_patients(split)
    assert (chosen.reserved, chosen.chosen_by) == ((), "split")
    later = write_clips(tmp_path / "later", {"B": 10}, seed=9)  # two patients came after the split was frozen
    assert set(choose_patients(split, later, "B", AdaptationSettings()).names) == {*chosen.names, "B-p8", "B-p9"}


@pytest.mark.parametrize("seed", range(5))
def test_choose_patients_divides_an_unknown_hospital(study: AdaptationStudy, tmp_path: Path, seed: int) -> None:
    store = write_clips(tmp_path / "new", {"N": 7})
    split, settings = SplitManifest.load(study.split), AdaptationSettings(share=0.3, seed=seed)
    chosen = choose_patients(split, store, "N", settings)
    assert chosen == choose_patients(split, store, "N", settings)
    assert (len(chosen.names), len(chosen.reserved), chosen.chosen_by) == (2, 5, "seed")
    assert set(chosen.names) | set(chosen.reserved) == set(store.clips["patient"].to_pylist())


def test_select_frames_keeps_as_many_of_each_patient(study: AdaptationStudy) -> None:
    store = FrameStore.open(study.store)
    patients = AdaptationPatients(("B-p0", "B-p1", "B-p2"), (), "split")
    frames = select_frames(store, "B", patients, AdaptationSettings(frames_per_patient=5), {"b_mode"})
    names, counts = np.unique(frames.owners, return_counts=True)
    assert (names.tolist(), counts.tolist()) == (["B-p0", "B-p1", "B-p2"], [5, 5, 5])
    assert frames.patient_weights().sum() == pytest.approx(1)
    again = select_frames(store, "B", patients, AdaptationSettings(frames_per_patient=5), {"b_mode"})
    assert frames.table.equals(again.table)
    other = select_frames(store, "B", patients, AdaptationSettings(frames_per_patient=5, seed=1), {"b_mode"})
    assert not frames.table.equals(other.table)


def test_patient_weights_count_each_patient_once(study: AdaptationStudy) -> None:
    patients = AdaptationPatients(("B-p0", "B-p1"), (), "split")
    frames = select_frames(FrameStore.open(study.store), "B", patients, AdaptationSettings(), {"b_mode"})
    weights, owners = frames.patient_weights(), np.array(frames.owners)
    np.testing.assert_allclose([weights[owners == name].sum() for name in patients.names], 0.5)


def test_check_not_scored_passes_patients_set_aside(study: AdaptationStudy) -> None:
    split, store = SplitManifest.load(study.split), FrameStore.open(study.store)
    chosen = choose_patients(split, store, "B", AdaptationSettings())
    check_not_scored(chosen.names, (), split, store)
    with pytest.raises(LeakageError, match="1 patients who adapted this run"):
        check_not_scored([*chosen.names, min(scored_patients(split))], (), split, store)
