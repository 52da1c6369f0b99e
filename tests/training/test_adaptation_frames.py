"""Who may adapt a run, and which of their frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import LeakageError
from heart2heart.schema.adaptation import AdaptationSettings
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from heart2heart.training.adaptation_frames import (
    AdaptationPatients,
    check_not_scored,
    choose_patients,
    select_frames,
)
from tests.training.adaptation_study import AdaptationStudy, scored_patients, write_clips


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
