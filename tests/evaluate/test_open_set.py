"""AUROC against scikit-learn, exact and from binned clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from heart2heart.evaluate.open_set import auroc, auroc_of_histogram, clustered_histogram


@given(st.integers(0, 10_000), st.booleans())
def test_agrees_with_scikit_learn_ties_included(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, 40) / 8
    positive = np.concatenate([[0, 1], rng.integers(0, 2, 38)])
    weights = rng.uniform(0.1, 3, 40) if weighted else None
    assert auroc(scores, positive, weights) == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights))


def test_one_side_empty_is_not_a_number() -> None:
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array([1, 1])))


def test_binned_clusters_come_close_to_the_exact_area() -> None:
    rng = np.random.default_rng(0)
    positive = rng.integers(0, 2, 3000)
    scores = rng.normal(positive, 1)
    histogram = clustered_histogram(scores, positive, np.arange(3000) % 11, 11)
    assert histogram.sum() == 3000
    assert histogram[4].sum() == (np.arange(3000) % 11 == 4).sum()
    assert auroc_of_histogram(histogram.sum(0)) == pytest.approx(roc_auc_score(positive, scores), abs=1 / 400)
