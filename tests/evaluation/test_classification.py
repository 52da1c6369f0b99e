"""Confusion-matrix statistics against scikit-learn, and their behaviour under weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from heart2heart.evaluation.classification import (
    Floats,
    Ints,
    balanced_accuracy,
    clustered_confusion,
    f1,
    macro_f1,
    positive_predictive_value,
    sensitivity,
)

CLASSES = 4


def draw(seed: int, n: int = 60) -> tuple[Ints, Ints, Floats]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, CLASSES, n), rng.integers(0, CLASSES, n), rng.uniform(0.1, 3, n)


def confusion_matrix(truth: Ints, predicted: Ints, classes: int, weights: Floats | None = None) -> Floats:
    matrix: Floats = clustered_confusion(truth, predicted, np.zeros_like(truth), 1, classes, weights).sum(0)
    return matrix


@pytest.mark.parametrize("weighted", [False, True])
def test_clustered_confusion_and_its_statistics_agree_with_scikit_learn(weighted: bool) -> None:
    truth, predicted, mass = draw(1)
    weights = mass if weighted else None
    labels = list(range(CLASSES))
    matrix = confusion_matrix(truth, predicted, CLASSES, weights)
    np.testing.assert_allclose(matrix, sk.confusion_matrix(truth, predicted, labels=labels, sample_weight=weights))
    precision, recall, score, _ = sk.precision_recall_fscore_support(
        truth, predicted, labels=labels, sample_weight=weights
    )
    np.testing.assert_allclose(sensitivity(matrix), recall)
    np.testing.assert_allclose(positive_predictive_value(matrix), precision)
    np.testing.assert_allclose(f1(matrix), score)
    expected = sk.balanced_accuracy_score(truth, predicted, sample_weight=weights)
    assert balanced_accuracy(matrix, labels) == pytest.approx(expected)


def test_balanced_accuracy_counts_absent_predictions_as_errors() -> None:
    # two views present; one frame of four is predicted as a view that the site does not have
    matrix = confusion_matrix(np.array([2, 2, 3, 3]), np.array([2, 0, 3, 3]), CLASSES)
    assert balanced_accuracy(matrix, [2, 3]) == pytest.approx((1 / 2 + 2 / 2) / 2)


def test_macro_f1_keeps_its_label_set() -> None:
    # truth {A2C, A4C}, one A2C predicted as PLAX: scikit-learn gives .556, .833 or .417 by `labels`; .833 is expected
    truth, predicted = np.array([3, 3, 2]), np.array([0, 3, 2])
    matrix = confusion_matrix(truth, predicted, CLASSES)
    assert macro_f1(matrix, [2, 3]) == pytest.approx(sk.f1_score(truth, predicted, labels=[2, 3], average="macro"))
    assert macro_f1(matrix, [2, 3]) == pytest.approx(0.8333, abs=1e-4)


def test_sensitivity_of_an_empty_class_is_nan_and_never_zero() -> None:
    matrix = confusion_matrix(np.array([0, 0]), np.array([0, 1]), CLASSES)
    assert np.isnan(sensitivity(matrix)).tolist() == [False, True, True, True]
    assert np.isnan(positive_predictive_value(matrix)).tolist() == [False, False, True, True]
    assert np.isnan(f1(matrix)).tolist() == [False, False, True, True]
    assert np.isnan(balanced_accuracy(matrix, [0, 2]))
    assert np.isnan(balanced_accuracy(matrix, []))


def test_clustered_confusion_adds_up_to_all_rows() -> None:
    truth, predicted, weights = draw(2)
    cluster = np.arange(len(truth)) % 7
    parts = clustered_confusion(truth, predicted, cluster, 7, CLASSES, weights)
    np.testing.assert_allclose(parts.sum(0), confusion_matrix(truth, predicted, CLASSES, weights))
    in_cluster = cluster == 3
    np.testing.assert_allclose(
        parts[3], confusion_matrix(truth[in_cluster], predicted[in_cluster], CLASSES, weights[in_cluster])
    )


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_clustered_confusion_treats_weights_as_counts(seed: int, n: int) -> None:
    truth, predicted, _ = draw(seed, n)
    plain = confusion_matrix(truth, predicted, CLASSES)
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, CLASSES, np.ones(n)), plain)
    twice = confusion_matrix(np.tile(truth, 2), np.tile(predicted, 2), CLASSES)
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, CLASSES, np.full(n, 2.0)), twice)
    np.testing.assert_allclose(sensitivity(twice), sensitivity(plain))
    order = np.random.default_rng(seed).permutation(n)
    np.testing.assert_array_equal(confusion_matrix(truth[order], predicted[order], CLASSES), plain)
