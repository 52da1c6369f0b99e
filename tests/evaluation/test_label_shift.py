"""Label shift: shares are recovered without labels, and the correction helps if the shift is real."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize
from sklearn.metrics import recall_score

from heart2heart.evaluation.confidence import calibrate
from heart2heart.evaluation.label_shift import class_rates, estimate_shares, score_shift
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


def test_score_shift_lowers_the_negative_log_likelihood() -> None:
    logits, truth = bayes(np.random.default_rng(1), [0.8, 0.15, 0.05], 3000)
    site = make_site(logits, truth, np.arange(3000) // 20)
    log_p = log_probabilities(logits)
    shift = score_shift(site, log_p, np.full(3, 1 / 3), source_rates(), "ABC")
    assert shift is not None
    assert shift.distance == pytest.approx(0.8 - 1 / 3, abs=0.02)
    assert shift.shares["A"] == pytest.approx((truth == 0).mean())
    plain = calibrate(site, log_p, evaluation_context(3)).nll.value
    assert plain is not None
    assert shift.nll_adjusted < plain - 0.05
    moved = log_p + np.log(list(shift.estimated_shares.values())) - np.log(1 / 3)
    assert shift.balanced_accuracy_adjusted == pytest.approx(recall_score(truth, moved.argmax(1), average="macro"))
    assert score_shift(site, log_p, None, None, "ABC") is None
