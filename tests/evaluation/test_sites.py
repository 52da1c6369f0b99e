"""The prediction of a clip from its frames, by hand."""

from __future__ import annotations

import numpy as np

from heart2heart.evaluation.sites import aggregate_groups


def test_aggregate_groups_averages_log_probabilities() -> None:
    # clip 0: two frames lean to class 0, one is sure of class 1: the sure one wins by log-probability, not by count
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.01, 0.99], [0.9, 0.1]])
    scores, truth, cluster, mixed = aggregate_groups(
        np.log(p)[None], np.array([1, 1, 1, 0]), np.array([5, 5, 5, 8]), np.array([2, 2, 2, 1])
    )
    mean = np.exp(np.log(p[:3]).mean(0))
    np.testing.assert_allclose(np.exp(scores[0, 0]), mean / mean.sum())
    assert scores[0].argmax(1).tolist() == [1, 0]
    assert truth.tolist() == [1, 0]
    assert cluster.tolist() == [2, 1]
    assert mixed == 0


def test_aggregate_groups_counts_clips_of_two_views() -> None:
    log_p = np.log(np.full((2, 4, 2), 0.5))
    scores, truth, _, mixed = aggregate_groups(
        log_p, np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), np.zeros(4, dtype=int)
    )
    assert scores.shape == (2, 1, 2)
    assert truth.tolist() == [1]
    assert mixed == 1
