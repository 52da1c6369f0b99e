"""Label shift: shares are recovered without labels, and the correction helps if the shift is real."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize
from sklearn.metrics import recall_score

from heart2heart.evaluation.confidence import calibrate
from heart2heart.evaluation.intervals import cluster_weights
from heart2heart.evaluation.label_shift import (
    ShiftReference,
    class_rates,
    estimate_shares,
    estimate_with_interval,
    score_shift,
)
from heart2heart.evaluation.probabilities import log_probabilities
from tests.evaluation.simulation import evaluation_context, make_site


def bayes(rng: np.random.Generator, shares: list[float], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw from Gaussian classes; the logits are those of Bayes' rule for equal shares."""
    truth = rng.choice(3, n, p=shares)
    x = rng.normal(0, 1, (n, 3)) + 1.5 * np.eye(3)[truth]
    return 1.5 * x, truth


def source_rates(seed: int = 9) -> np.ndarray:
    logits, truth = bayes(np.random.default_rng(seed), [1 / 3] * 3, 6000)
    return class_rates(log_probabilities(logits), truth)


def test_estimate_shares_from_predictions_alone() -> None:
    logits, _ = bayes(np.random.default_rng(0), [0.7, 0.25, 0.05], 20_000)
    shares = estimate_shares(log_probabilities(logits), source_rates())
    np.testing.assert_allclose(shares, [0.7, 0.25, 0.05], atol=0.02)
    assert shares.sum() == pytest.approx(1)


def test_estimate_shares_gives_no_share_to_a_view_that_the_source_never_showed() -> None:
    logits, _ = bayes(np.random.default_rng(0), [0.5, 0.5, 0.0], 500)
    rates = source_rates()
    rates[2] = np.nan
    assert estimate_shares(log_probabilities(logits), rates)[2] == 0


def test_estimate_shares_agrees_with_a_general_solver() -> None:
    """The reference minimises the same distance over the simplex (SLSQP), as QuaPy's PACC does."""
    rng = np.random.default_rng(4)
    for _ in range(20):
        rates, mean = rng.dirichlet([1] * 4, 4), rng.dirichlet([1] * 4)

        def distance(q: np.ndarray, rates: np.ndarray = rates, mean: np.ndarray = mean) -> float:
            return float(((q @ rates - mean) ** 2).sum())

        reference = minimize(
            distance, np.full(4, 0.25), bounds=[(0, 1)] * 4, method="SLSQP", options={"ftol": 1e-14},
            constraints=LinearConstraint(np.ones((1, 4)), 1, 1),
        ).x  # fmt: skip
        shares = estimate_shares(np.log(mean)[None], rates)
        assert distance(shares) == pytest.approx(distance(reference), abs=1e-5)


def expectation_maximisation(log_p: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Saerens et al. (2002), which was used before."""
    shares = source
    for _ in range(200):
        moved = np.exp(log_p) * shares / source
        shares = (moved / moved.sum(1, keepdims=True)).mean(0)
    return shares


def test_estimate_shares_is_better_than_expectation_maximisation_where_the_model_leans_to_one_view() -> None:
    rng, before, now = np.random.default_rng(5), [], []
    source = np.full(3, 1 / 3)
    for _ in range(20):
        lean = rng.normal(0, 1, 3)
        shares = rng.dirichlet([3, 3, 3])
        (logits, truth), (here, _) = bayes(rng, [1 / 3] * 3, 900), bayes(rng, list(shares), 900)
        rates = class_rates(log_probabilities(logits + lean), truth)
        log_p = log_probabilities(here + lean)
        before.append(np.abs(expectation_maximisation(log_p, source) - shares).sum() / 2)
        now.append(np.abs(estimate_shares(log_p, rates) - shares).sum() / 2)
    assert np.mean(now) < 0.5 * np.mean(before)


def clustered(
    rng: np.random.Generator, shares: np.ndarray, clusters: int, push: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw four frames of each cluster, which shifts them together; `push` moves the logits of class A."""
    truth = rng.choice(3, 4 * clusters, p=shares)
    cluster = np.repeat(np.arange(clusters), 4)
    x = rng.normal(0, 1, (len(truth), 3)) + 1.5 * np.eye(3)[truth] + rng.normal(0, 0.5, (clusters, 3))[cluster]
    x[:, 0] += push
    return log_probabilities(1.5 * x), truth, cluster


def test_estimate_with_interval_covers_the_shares_where_only_they_differ() -> None:
    rng, covered, refused = np.random.default_rng(0), [], 0
    for seed in range(40):
        reference = ShiftReference.of(*clustered(rng, np.full(3, 1 / 3), 80))
        shares = rng.dirichlet([3, 3, 3])
        log_p, _, cluster = clustered(rng, shares, 60)
        estimate = estimate_with_interval(log_p, cluster, cluster_weights(60, 400, seed), reference, "ABC")
        refused += estimate.shares is None
        if estimate.low is not None and estimate.high is not None:
            covered += ((estimate.low <= shares) & (shares <= estimate.high)).tolist()
    assert refused <= 5  # 5 % by construction
    assert np.mean(covered) > 0.87


def test_estimate_with_interval_refuses_frames_that_look_different() -> None:
    """Adjusted counting alone, as before, would have given a share of A that is wrong by more than a half."""
    rng = np.random.default_rng(1)
    source = clustered(rng, np.full(3, 1 / 3), 80)
    reference = ShiftReference.of(*source)
    log_p, _, cluster = clustered(rng, np.array([0.2, 0.4, 0.4]), 60, push=3.0)
    before = estimate_shares(log_p, class_rates(source[0], source[1]))
    assert before[0] > 0.2 + 0.5
    estimate = estimate_with_interval(log_p, cluster, cluster_weights(60, 400, 0), reference, "ABC")
    assert estimate.shares is estimate.low is estimate.high is None
    assert estimate.reason is not None
    assert "the classes look different here" in estimate.reason


def test_estimate_with_interval_refuses_an_ill_conditioned_model_and_a_missing_class() -> None:
    rng = np.random.default_rng(2)
    log_p, truth, cluster = clustered(rng, np.full(3, 1 / 3), 60)
    blind = log_probabilities(0.02 * rng.normal(0, 1, log_p.shape))
    weights = cluster_weights(60, 400, 0)
    estimate = estimate_with_interval(blind, cluster, weights, ShiftReference.of(blind, truth, cluster), "ABC")
    assert "too little at the source" in (estimate.reason or "")
    known = truth < 2
    partial = ShiftReference.of(log_p[known], truth[known], cluster[known])
    estimate = estimate_with_interval(log_p, cluster, weights, partial, "ABC")
    assert estimate.reason == "the source validation frames have no C"
    one = np.zeros_like(cluster)
    estimate = estimate_with_interval(
        log_p, one, cluster_weights(1, 400, 0), ShiftReference.of(log_p, truth, cluster), "ABC"
    )
    assert "one cluster" in (estimate.reason or "")


def test_shift_reference_means_are_those_of_the_frames() -> None:
    log_p, truth, cluster = clustered(np.random.default_rng(3), np.full(3, 1 / 3), 30)
    reference = ShiftReference.of(log_p, truth, cluster)
    np.testing.assert_allclose(reference.means()[:, :3], class_rates(log_p, truth))
    np.testing.assert_allclose(reference.means()[:, :3], reference.means(np.ones((2, 30), np.uint16))[1, :, :3])
    np.testing.assert_allclose(reference.shares, np.bincount(truth) / len(truth))


def test_score_shift_lowers_the_negative_log_likelihood() -> None:
    logits, truth = bayes(np.random.default_rng(1), [0.8, 0.15, 0.05], 3000)
    site = make_site(logits, truth, np.arange(3000) // 20)
    log_p = log_probabilities(logits)
    source, source_truth = bayes(np.random.default_rng(9), [1 / 3] * 3, 6000)
    reference = ShiftReference.of(log_probabilities(source), source_truth, np.arange(6000) // 20)
    shift = score_shift(site, log_p, reference, "ABC")
    assert shift is not None
    assert shift.distance == pytest.approx(0.8 - 1 / 3, abs=0.02)
    assert shift.shares["A"] == pytest.approx((truth == 0).mean())
    plain = calibrate(site, log_p, evaluation_context(3)).nll.value
    assert plain is not None
    assert shift.nll_adjusted is not None
    assert shift.nll_adjusted < plain - 0.05
    assert shift.estimated_shares is not None
    moved = log_p + np.log(list(shift.estimated_shares.values())) - np.log(reference.shares)
    assert shift.balanced_accuracy_adjusted == pytest.approx(recall_score(truth, moved.argmax(1), average="macro"))
    assert score_shift(site, log_p, None, "ABC") is None
