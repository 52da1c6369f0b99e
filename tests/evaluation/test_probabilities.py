"""Proper scores, calibration and temperature against scikit-learn and against formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.probabilities import (
    brier_rows,
    classwise_ece,
    equal_mass_bins,
    fit_temperature,
    log_probabilities,
    nll_rows,
    reliability,
)


def draw(seed: int, n: int = 90, classes: int = 4) -> tuple[Floats, Ints, Floats]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, (n, classes)), rng.integers(0, classes, n), rng.uniform(0.1, 3, n)


def test_log_probabilities_follow_the_formula() -> None:
    logits, _, _ = draw(0, n=3)
    for row, log_p in zip(logits, log_probabilities(logits, 1.7), strict=True):
        total = sum(np.exp(value / 1.7) for value in row)
        np.testing.assert_allclose(np.exp(log_p), [np.exp(value / 1.7) / total for value in row])


def test_nll_rows_agree_with_scikit_learn() -> None:
    logits, truth, weights = draw(1)
    log_p = log_probabilities(logits)
    for mass in (None, weights):
        expected = log_loss(truth, np.exp(log_p), labels=[0, 1, 2, 3], sample_weight=mass)
        assert np.average(nll_rows(log_p, truth), weights=mass) == pytest.approx(expected)


def test_brier_rows_agree_with_scikit_learn() -> None:
    logits, truth, weights = draw(2)
    log_p = log_probabilities(logits)
    expected = brier_score_loss(truth, np.exp(log_p), labels=[0, 1, 2, 3], sample_weight=weights, scale_by_half=False)
    assert np.average(brier_rows(log_p, truth), weights=weights) == pytest.approx(expected)
    one = np.log(np.array([[0.7, 0.2, 0.1]]))
    assert brier_rows(one, np.array([1]))[0] == pytest.approx(0.7**2 + 0.8**2 + 0.1**2)


def test_equal_mass_bins_hold_equal_mass() -> None:
    bin_index = equal_mass_bins(np.random.default_rng(3).random(150), 15)
    assert np.bincount(bin_index).tolist() == [10] * 15
    ties = equal_mass_bins(np.array([0.5, 0.5, 0.5, 0.9]), 2)
    assert ties.tolist() == [0, 0, 0, 1]


def test_classwise_ece_by_hand() -> None:
    # two classes, six frames, two bins a class: sort by p of the class, halve, compare means
    p = np.array([0.1, 0.2, 0.3, 0.6, 0.8, 0.9])
    truth = np.array([0, 1, 0, 1, 0, 1])
    log_p = np.log(np.stack([1 - p, p], axis=1))
    hits = truth == 1
    upper, lower = slice(3, 6), slice(0, 3)
    of_one = sum(3 / 6 * abs(p[part].mean() - hits[part].mean()) for part in (lower, upper))
    of_zero = sum(3 / 6 * abs((1 - p[part]).mean() - (~hits[part]).mean()) for part in (lower, upper))
    assert classwise_ece(log_p, truth, 2) == pytest.approx((of_one + of_zero) / 2)


def test_reliability_reports_each_bin() -> None:
    diagram = reliability(np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.0, 1.0, 1.0, 1.0]), 2)
    np.testing.assert_allclose(diagram.confidence, [0.3, 0.7])
    np.testing.assert_allclose(diagram.frequency, [0.5, 1.0])
    assert diagram.count.tolist() == [2, 2]


def test_fit_temperature_finds_the_minimum_and_recovers_overconfidence() -> None:
    rng = np.random.default_rng(4)
    honest = rng.normal(0, 1.5, (4000, 4))
    chances = np.exp(log_probabilities(honest))
    truth = np.array([rng.choice(4, p=row) for row in chances])
    assert fit_temperature(2.5 * honest, truth) == pytest.approx(2.5, rel=0.1)
    temperature = fit_temperature(honest, truth)
    grid = [float(nll_rows(log_probabilities(honest, t), truth).mean()) for t in np.linspace(0.5, 2, 61)]
    assert nll_rows(log_probabilities(honest, temperature), truth).mean() <= min(grid) + 1e-9


@given(st.integers(0, 10_000), st.integers(2, 30))
def test_classwise_ece_treats_weights_as_counts(seed: int, n: int) -> None:
    logits, truth, _ = draw(seed, n)
    log_p = log_probabilities(logits)
    plain = classwise_ece(log_p, truth, 5)
    assert classwise_ece(log_p, truth, 5, np.ones(n)) == pytest.approx(plain)
    twice = classwise_ece(np.tile(log_p, (2, 1)), np.tile(truth, 2), 5)
    assert classwise_ece(log_p, truth, 5, np.full(n, 2.0)) == pytest.approx(twice)
    assert twice == pytest.approx(plain)
    order = np.random.default_rng(seed).permutation(n)
    assert classwise_ece(log_p[order], truth[order], 5) == pytest.approx(plain)
    kept = np.concatenate([np.ones(n), np.zeros(n)])
    noise = draw(seed + 1, n)[0]
    padded = classwise_ece(np.concatenate([log_p, log_probabilities(noise)]), np.tile(truth, 2), 5, kept)
    assert padded == pytest.approx(plain)
