"""Rankings against scikit-learn, or the formula written out where it has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from heart2heart.evaluation.intervals import cluster_weights
from heart2heart.evaluation.ranking import (
    augrc,
    aurc,
    auroc,
    average_precision_low,
    clustered_histogram,
    exact_histogram,
    false_positive_rate,
    resample_ranking,
)


@given(st.integers(0, 10_000), st.booleans())
def test_auroc_and_others_agree_with_scikit_learn_with_ties(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, 40) / 8
    positive = np.concatenate([[0, 1], rng.integers(0, 2, 38)])
    weights = rng.uniform(0.1, 3, 40) if weighted else None
    histogram = exact_histogram(scores, positive, weights)
    assert auroc(histogram) == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights))
    precision = average_precision_score(1 - positive, -scores, sample_weight=weights)
    assert average_precision_low(histogram) == pytest.approx(precision)
    fpr, tpr, _ = roc_curve(positive, scores, sample_weight=weights, drop_intermediate=False)
    # The first point of the curve at which 95 % pass, reached along the straight line from the point before.
    index = int(np.argmax(tpr >= 0.95 - 1e-12))
    part = (0.95 - tpr[index - 1]) / (tpr[index] - tpr[index - 1])
    assert false_positive_rate(histogram) == pytest.approx(fpr[index - 1] + part * (fpr[index] - fpr[index - 1]))


@given(st.integers(0, 10_000), st.sampled_from([3, 1000]))
def test_augrc_and_aurc_by_hand(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, levels, 30) / levels
    right = np.concatenate([[0, 1], rng.integers(0, 2, 28)])
    histogram = exact_histogram(confidence, right)
    accuracy = right.mean()
    # Traub et al., equation 7.
    assert augrc(histogram) == pytest.approx(
        (1 - roc_auc_score(right, confidence)) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    )
    # The integral of the risk over coverage, by fine steps along the most confident first, ties spread evenly.
    order = np.unique(confidence)[::-1]
    kept = np.concatenate([[0.0], np.cumsum([(confidence == c).mean() for c in order])])
    wrong = np.concatenate([[0.0], np.cumsum([((confidence == c) & (right == 0)).mean() for c in order])])
    grid = (np.arange(40_000) + 0.5) / 40_000
    assert aurc(histogram) == pytest.approx((np.interp(grid, kept, wrong) / grid).mean(), abs=2e-4)


def test_auroc_of_one_empty_side_is_nan() -> None:
    one = exact_histogram(np.array([0.1, 0.2]), np.array([1, 1]))
    assert all(np.isnan(measure(one)) for measure in (auroc, average_precision_low, false_positive_rate))


def test_auroc_and_others_by_hand() -> None:
    histogram = exact_histogram(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0]))
    assert auroc(histogram) == pytest.approx(3 / 4)
    assert average_precision_low(histogram) == pytest.approx((1 + 2 / 3) / 2)
    assert false_positive_rate(histogram, 0.5) == 0
    # kept and wrong at coverage .25 .5 .75 1: 0 .25 .25 .5, straight between
    assert augrc(histogram) == pytest.approx((0 + 0.125 + 0.25 + 0.375) / 4)


def test_resample_ranking_agrees_with_exact_replicates() -> None:
    rng = np.random.default_rng(0)
    positive = rng.integers(0, 2, 3000)
    scores = rng.normal(positive, 1)
    cluster = np.arange(3000) % 60
    histogram = clustered_histogram(scores, positive, cluster, 60)
    assert histogram.sum() == 3000
    assert histogram[4].sum() == (cluster == 4).sum()
    weights = cluster_weights(60, 40, 0)
    value, draws = resample_ranking(scores, positive, cluster, weights, {"a": auroc, "f": false_positive_rate})["a"]
    assert value == pytest.approx(roc_auc_score(positive, scores))
    by_hand = [roc_auc_score(positive, scores, sample_weight=row[cluster]) for row in weights.astype(float)]
    np.testing.assert_allclose(draws.replicates, by_hand, atol=1e-3)
