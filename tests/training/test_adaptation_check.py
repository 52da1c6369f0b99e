"""Checks for harm: numbers against scipy and scikit-learn, and what each check refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from heart2heart.schema.adaptation import PredictionSummary
from heart2heart.training.adaptation_check import (
    check_clips,
    check_collapse,
    check_entropy,
    check_gain,
    check_patients,
    check_views,
    confident_disagreement,
    mean_entropy,
    mutual_information,
    summarise_predictions,
)

VIEWS = ("PLAX", "PSAX", "A4C", "A2C")


def summary(*, entropy: float = 0.3, information: float = 1.0, top: float = 0.25) -> PredictionSummary:
    shares = [top, *[(1 - top) / 3] * 3]
    return PredictionSummary(
        entropy=entropy, information=information, shares=dict(zip(VIEWS, shares, strict=True)), confident=0.5
    )


@given(seed=st.integers(0, 100), count=st.integers(2, 12))
def test_summarise_predictions_agrees_with_scipy(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, weights = rng.dirichlet(np.full(4, 0.3), count), rng.dirichlet(np.ones(count))
    predicted = summarise_predictions(probabilities, weights, VIEWS)
    rows = entropy(np.maximum(probabilities, 1e-12), axis=1)
    assert predicted.entropy == pytest.approx(np.average(rows, weights=weights), abs=1e-9)
    assert predicted.information == pytest.approx(
        entropy(weights @ probabilities) - np.average(rows, weights=weights), abs=1e-9
    )
    assert predicted.information >= -1e-9
    assert sum(predicted.shares.values()) == pytest.approx(1)
    assert predicted.confident == pytest.approx(weights[probabilities.max(1) >= 0.9].sum())


def test_mutual_information_of_certain_rows_is_that_of_scikit_learn() -> None:
    views = np.array([0, 0, 1, 2, 2, 2])
    information = mutual_information(np.eye(3)[views], np.full(6, 1 / 6))
    assert information == pytest.approx(mutual_info_score(np.arange(6), views), abs=1e-9)
    assert mutual_information(np.full((6, 3), 1 / 3), np.full(6, 1 / 6)) == pytest.approx(0, abs=1e-12)


def test_mean_entropy_of_a_guess_over_all_views_is_its_logarithm() -> None:
    assert mean_entropy(np.full((2, 4), 0.25), np.array([0.3, 0.7])) == pytest.approx(math.log(4))


def test_confident_disagreement_counts_confident_frames_alone() -> None:
    before = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4]])
    after = np.array([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    assert confident_disagreement(before, after, np.array([0.1, 0.3, 0.6])) == pytest.approx(0.25)
    assert confident_disagreement(before[2:], after[2:], np.ones(1)) is None


@pytest.mark.parametrize(("patients", "passed"), [(1.9, False), (2.0, True), (40, True)])
def test_check_patients_needs_two(patients: float, passed: bool) -> None:
    assert check_patients(patients).passed is passed


@pytest.mark.parametrize(("clips", "passed"), [(7, False), (8, True)])
def test_check_clips_needs_eight(clips: int, passed: bool) -> None:
    assert check_clips(clips).passed is passed


@pytest.mark.parametrize(
    ("source", "information", "passed"),
    [
        (0.8, 0.82, False),
        (0.8, 0.84, True),
        (0.5, 0.51, False),
        (0.5, 0.53, True),
        (None, 0.68, False),
        (None, 0.70, True),
    ],
)
def test_check_views_needs_three_quarters_of_the_information_at_the_source(
    source: float | None, information: float, passed: bool
) -> None:
    check = check_views(summary(information=information), summary(information=information), source)
    assert check.passed is passed
    if passed:
        assert f"at least {(source or 2 / 3) * 0.75:.0%}" in check.detail


@pytest.mark.parametrize(("before", "after", "passed"), [(0.59, 0.71, False), (0.59, 0.73, True), (0.61, 0.61, True)])
def test_check_views_needs_nine_tenths_where_the_unadapted_predictions_hold_little(
    before: float, after: float, passed: bool
) -> None:
    check = check_views(summary(information=before * math.log(4)), summary(information=after * math.log(4)), 0.8)
    assert check.passed is passed
    assert f"held {before:.0%} before" in check.detail


@pytest.mark.parametrize(("before", "after", "passed"), [(1.0, 1.14, False), (1.0, 1.16, True), (0.2, 0.29, True)])
def test_check_gain_asks_for_more_information_than_before(before: float, after: float, passed: bool) -> None:
    check = check_gain(summary(information=before), summary(information=after))
    assert check.passed is passed
    assert f"went from {before:.2f} to {after:.2f} nats" in check.detail


@pytest.mark.parametrize(("before", "after", "passed"), [(0.1, 0.30, True), (0.1, 0.32, False), (0.9, 0.2, True)])
def test_check_entropy_limits_the_rise(before: float, after: float, passed: bool) -> None:
    assert check_entropy(summary(entropy=before), summary(entropy=after)).passed is passed


@pytest.mark.parametrize(("before", "after", "passed"), [(0.3, 0.89, True), (0.3, 0.91, False), (0.95, 0.94, True)])
def test_check_collapse_refuses_one_view_that_was_not_there_before(before: float, after: float, passed: bool) -> None:
    check = check_collapse(summary(top=before), summary(top=after))
    assert check.passed is passed
    assert check.detail.startswith("PLAX is predicted for")
