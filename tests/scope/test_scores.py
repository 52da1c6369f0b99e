"""Scores of strangeness, against SciPy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal
from sklearn.covariance import ShrunkCovariance
from sklearn.neighbors import NearestNeighbors

from heart2heart.scope.scores import (
    SHRINKAGE,
    class_precision,
    energy_score,
    knn_score,
    mahalanobis_score,
    max_softmax_score,
    other_view_score,
)

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(0, 4, (30, 4))
FEATURES = GENERATOR.normal(0, 1, (300, 6)) @ GENERATOR.normal(0, 1, (6, 6))
LABEL = GENERATOR.integers(0, 3, 300)


def test_max_softmax_score_equals_scipy() -> None:
    assert max_softmax_score(LOGITS) == pytest.approx(1 - softmax(LOGITS, axis=1).max(1))


def test_energy_score_equals_scipy_and_does_not_overflow() -> None:
    assert energy_score(LOGITS) == pytest.approx(-logsumexp(LOGITS, axis=1))
    assert energy_score(np.array([[1e5, -1e5]])) == pytest.approx([-1e5])


def test_mahalanobis_score_equals_scipy_with_the_covariance_of_scikit_learn() -> None:
    means, precision = class_precision(FEATURES, LABEL, 4)
    centres = np.stack([FEATURES[label == LABEL].mean(0) for label in range(3)])
    assert means[:3] == pytest.approx(centres)
    assert np.isnan(means[3]).all()
    shrunk = ShrunkCovariance(shrinkage=SHRINKAGE, assume_centered=True).fit(FEATURES - centres[LABEL])
    assert precision == pytest.approx(shrunk.precision_)
    expected = cdist(FEATURES, centres, "mahalanobis", VI=shrunk.precision_).min(1) ** 2
    assert mahalanobis_score(FEATURES, means, precision) == pytest.approx(expected)


def test_other_view_score_equals_the_densities_of_scipy() -> None:
    label = np.arange(300) % 5
    means, precision = class_precision(FEATURES, label, 5, 0.3)
    means[1] = np.nan  # a view without a clip does not count
    centres = np.stack([FEATURES[label == index].mean(0) for index in range(5)])
    shrunk = ShrunkCovariance(shrinkage=0.3, assume_centered=True).fit(FEATURES - centres[label])
    density = [multivariate_normal(centre, shrunk.covariance_).pdf(FEATURES[:20]) for centre in centres]
    expected = np.log(density[4] / np.mean([density[index] for index in (0, 2, 3)], axis=0))
    assert other_view_score(FEATURES[:20], means, precision) == pytest.approx(expected)


def test_other_view_score_is_half_the_difference_of_two_squared_distances() -> None:
    score = other_view_score(np.array([[1e4, 0.0], [-1e4, 0.0]]), np.array([[0.0, 0], [2.0, 0]]), np.eye(2))
    assert score == pytest.approx([2e4 - 2, -2e4 - 2])  # no overflow far away


@pytest.mark.parametrize("neighbours", [1, 5, 900])
def test_knn_score_equals_scikit_learn(neighbours: int) -> None:
    queries = GENERATOR.normal(0, 1, (700, 6))  # more than are compared at a time
    unit, queried = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (FEATURES, queries))
    search = NearestNeighbors(n_neighbors=min(neighbours, 300), algorithm="brute").fit(unit)
    expected = search.kneighbors(queried)[0][:, -1]
    assert knn_score(queries, FEATURES, neighbours) == pytest.approx(expected, abs=1e-6)


def test_knn_score_leaves_out_clips_of_the_same_patient() -> None:
    chosen = FEATURES[:20]
    assert knn_score(chosen, chosen, 1) == pytest.approx(np.zeros(20), abs=1e-6)
    alone = knn_score(chosen, chosen, 1, leave_out=np.eye(20, dtype=bool))
    assert alone == pytest.approx(knn_score(chosen, chosen, 2), abs=1e-6)
    assert (alone > 0.01).all()


@given(scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_scores_do_not_depend_on_what_they_normalise(scale: float, shift: float) -> None:
    assert max_softmax_score(LOGITS + shift) == pytest.approx(max_softmax_score(LOGITS), abs=1e-9)
    assert energy_score(LOGITS + shift) == pytest.approx(energy_score(LOGITS) - shift)
    assert knn_score(FEATURES[:9] * scale, FEATURES, 3) == pytest.approx(knn_score(FEATURES[:9], FEATURES, 3), abs=1e-6)
