"""Labeled clips of adaptation patients: which are drawn, and what they adjust."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import RunError
from heart2heart.evaluation.probabilities import fit_temperature
from heart2heart.schema.adaptation import AdaptationSettings
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.training.adaptation_frames import AdaptationFrames, AdaptationPatients, select_frames
from heart2heart.training.adaptation_labels import (
    LabeledClips,
    adjust_to_labels,
    adjust_to_predictions,
    draw_labeled_clips,
)
from tests.training.adaptation_study import FRAMES_A_CLIP, views_of, write_clips

EQUAL = np.full(2, 0.5)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> AdaptationFrames:
    store = write_clips(tmp_path_factory.mktemp("labels") / "store", {"B": 4})
    patients = AdaptationPatients(("B-p0", "B-p1"), (), "split")
    return select_frames(store, "B", patients, AdaptationSettings(), {"b_mode"})


def test_draw_labeled_clips_takes_whole_clips_of_adaptation_patients(frames: AdaptationFrames) -> None:
    labels = {row["frame"]: SCORED_VIEWS[int(row["clip"][4])] for row in frames.store.frames.to_pylist()}
    labeled = draw_labeled_clips(frames, labels, SCORED_VIEWS, shots=5, seed=1)
    table = frames.table.take(labeled.positions)
    clips = table["clip"].to_pylist()
    assert len(set(clips)) == len(labeled.classes) == 5
    assert len(clips) == 5 * FRAMES_A_CLIP
    assert set(table["patient"].to_pylist()) <= {"B-p0", "B-p1"}
    assert [SCORED_VIEWS[target] for target in labeled.targets] == [labels[name] for name in table["frame"].to_pylist()]
    np.testing.assert_allclose([labeled.weights[np.array(clips) == clip].sum() for clip in set(clips)], 1)
    again = draw_labeled_clips(frames, labels, SCORED_VIEWS, shots=5, seed=1)
    np.testing.assert_array_equal(again.positions, labeled.positions)


def test_draw_labeled_clips_refuses_without_a_label(frames: AdaptationFrames, tmp_path: Path) -> None:
    store = write_clips(tmp_path / "other", {"C": 2}, pale="")
    with pytest.raises(RunError, match="no clip of a patient who adapts the run has a label"):
        draw_labeled_clips(frames, views_of(store), SCORED_VIEWS, shots=5, seed=0)


def test_adjust_to_labels_shrinks_the_fitted_temperature() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 400)
    logits = np.where(np.eye(2)[targets] > 0, 4.0, 0.0) * np.where(rng.random((400, 1)) < 0.75, 1, -1)
    labeled = LabeledClips(np.arange(400), targets, np.ones(400), targets[::10])
    adjusted = adjust_to_labels(logits, labeled, EQUAL, fit_temperature)
    fitted = fit_temperature(logits, targets)
    assert fitted > 2
    assert adjusted.temperature == pytest.approx(fitted ** (40 / 50))
    assert adjusted.labels == 40
    shares = (np.bincount(targets[::10]) + 1) / 42
    np.testing.assert_allclose(adjusted.offset, np.log(shares / 0.5))


def test_adjust_to_predictions_moves_towards_the_frequent_view() -> None:
    logits = np.array([[3.0, 0.0]] * 9 + [[0.0, 3.0]])
    full = adjust_to_predictions(logits, EQUAL, np.ones(10), patients=10, prior_patients=0)
    half = adjust_to_predictions(logits, EQUAL, np.ones(10), patients=10, prior_patients=10)
    assert full.offset[0] > half.offset[0] > 0 > half.offset[1] > full.offset[1]
    assert np.exp(full.offset).sum() == pytest.approx(2)
