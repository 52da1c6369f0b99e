"""Class shares and temperature of a hospital, from predictions and from a few labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from heart2heart.errors import RunError
from heart2heart.evaluation.probabilities import fit_temperature
from heart2heart.schema.adaptation import AdaptationSettings
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.training.adaptation_priors import (
    MAX_WEIGHT,
    LabeledClips,
    adjust_to_labels,
    adjust_to_predictions,
    balance_weights,
    corrected_probabilities,
    draw_labeled_clips,
    estimate_shares_em,
    logit_offset,
    shares_of_labels,
    shares_overlap,
)
from heart2heart.training.unscored_frames import AdaptationFrames, AdaptationPatients, select_frames
from tests.training.adaptation_study import FRAMES_A_CLIP, views_of, write_clips


def calibrated_rows(shares: np.ndarray, source: np.ndarray, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return exact source posteriors of three Gaussian classes, `(n, 3)`, drawn with `shares`, and the true classes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, count, p=shares)
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    points = means[truth] + rng.normal(size=(count, 2))
    likelihood = np.exp(-0.5 * np.square(points[:, None] - means).sum(2)) * source
    return likelihood / likelihood.sum(1, keepdims=True), truth


@pytest.mark.parametrize("source", [np.full(3, 1 / 3), np.array([0.6, 0.3, 0.1])])
def test_estimate_shares_em_finds_the_shares_of_calibrated_rows(source: np.ndarray) -> None:
    shares = np.array([0.1, 0.2, 0.7])
    rows, truth = calibrated_rows(shares, source, 20_000)
    np.testing.assert_allclose(estimate_shares_em(rows, source), np.bincount(truth) / len(truth), atol=0.02)


def test_estimate_shares_em_is_the_maximum_of_the_likelihood() -> None:
    source, weights = np.array([0.5, 0.3, 0.2]), np.random.default_rng(1).uniform(0.1, 3, 300)
    rows, _ = calibrated_rows(np.array([0.2, 0.2, 0.6]), source, 300)

    def negative(free: np.ndarray) -> float:
        shares = np.exp(np.append(free, 0))
        return -float(np.average(np.log(rows @ (shares / shares.sum() / source)), weights=weights))

    best = minimize(negative, np.zeros(2), method="BFGS").x
    expected = np.exp(np.append(best, 0)) / np.exp(np.append(best, 0)).sum()
    np.testing.assert_allclose(estimate_shares_em(rows, source, weights, iterations=5000), expected, atol=1e-3)


def test_estimate_shares_em_of_one_class_leaves_nothing_for_the_others() -> None:
    rows, _ = calibrated_rows(np.array([0.0, 1.0, 0.0]), np.full(3, 1 / 3), 2000)
    assert estimate_shares_em(rows, np.full(3, 1 / 3))[1] > 0.98


shares_of_three = st.lists(st.floats(0.05, 1), min_size=3, max_size=3).map(lambda raw: np.array(raw) / sum(raw))


@given(source=shares_of_three, target=shares_of_three)
def test_logit_offset_gives_corrected_probabilities(source: np.ndarray, target: np.ndarray) -> None:
    rows, _ = calibrated_rows(source, source, 20)
    logits = np.log(rows) + logit_offset(source, target)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(softmax, corrected_probabilities(rows, source, target), rtol=1e-9)
    np.testing.assert_allclose(corrected_probabilities(rows, source, source), rows, rtol=1e-9)


def test_balance_weights_bring_back_the_source_shares() -> None:
    source, shares = np.full(3, 1 / 3), np.array([0.2, 0.2, 0.6])
    rows, truth = calibrated_rows(shares, shares, 20_000)
    weights = balance_weights(rows, shares, source)
    weighted = np.bincount(truth, weights) / weights.sum()
    assert np.abs(weighted - source).max() < 0.5 * np.abs(shares - source).max()
    expected = np.array([row @ (source / shares) for row in rows])
    np.testing.assert_allclose(weights, expected)


def test_balance_weights_are_bounded() -> None:
    weights = balance_weights(np.eye(2), np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(weights, [0.5, MAX_WEIGHT])


@given(one=shares_of_three, other=shares_of_three)
def test_shares_overlap_is_one_less_the_total_variation(one: np.ndarray, other: np.ndarray) -> None:
    assert shares_overlap(one, other) == pytest.approx(1 - np.abs(one - other).sum() / 2)


def test_shares_of_labels_counts_labels_and_one_of_each_class() -> None:
    shares = shares_of_labels(np.array([0, 0, 0, 2]), np.array([0.5, 0.25, 0.25]))
    np.testing.assert_allclose(shares, np.array([3 + 1.5, 0.75, 1 + 0.75]) / 7)


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
