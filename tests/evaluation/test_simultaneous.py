"""One error rate for all claims: known special cases, and reports without a true difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, mean_share, shares_by_cluster
from heart2heart.evaluation.planning import StudyDesign, accuracy_contrast, simulate_hospital
from heart2heart.evaluation.simultaneous import NO_FAMILY, correlation_of, make_family
from heart2heart.utils import random_stream


def contrast(seed: int, site: str, patients: int = 30) -> Contrast:
    rng = np.random.default_rng(seed)
    rows = np.full((patients, 1), 4.0)
    return mean_share(shares_by_cluster(rng.binomial(4, 0.8, (patients, 1)).astype(float), rows, site), [0])


def test_make_family_of_one_contrast_adjusts_nothing() -> None:
    for family in (NO_FAMILY, make_family([]), make_family([contrast(0, "a")])):
        assert family.each == 0.95
        assert family.adjust(0.03) == 0.03


@pytest.mark.parametrize("tests", [2, 5, 10])
def test_make_family_of_independent_contrasts_is_sidak(tests: int) -> None:
    family = make_family([contrast(index, f"site {index}") for index in range(tests)])
    assert family.each == pytest.approx(0.95 ** (1 / tests), abs=0.001)
    assert family.adjust(0.01) == pytest.approx(1 - 0.99**tests, abs=0.004)


def test_make_family_of_the_same_contrast_is_a_single_one() -> None:
    family = make_family([contrast(0, "a")] * 6)
    assert family.each == pytest.approx(0.95, abs=0.002)
    assert family.adjust(0.02) == pytest.approx(0.02, abs=0.003)


def test_make_family_agrees_with_the_bivariate_normal() -> None:
    source, east, west = (contrast(index, name) for index, name in enumerate(("source", "east", "west")))
    losses = [combine_contrasts([source, there], [1.0, -1.0]) for there in (east, west)]
    correlation = correlation_of(losses)
    expected = source.variance / np.sqrt((source.variance + east.variance) * (source.variance + west.variance))
    assert correlation[0, 1] == pytest.approx(expected)
    limit = norm.ppf((1 + make_family(losses).each) / 2)
    inside = multivariate_normal(cov=correlation).cdf([limit] * 2, lower_limit=[-limit] * 2)
    assert inside == pytest.approx(0.95, abs=0.003)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.floats(0.0001, 1.0))
def test_make_family_lies_between_one_test_and_bonferroni(seeds: list[int], p: float) -> None:
    family = make_family([contrast(seed, f"site {seed % 3}") for seed in seeds])
    assert 0.95 - 0.002 <= family.each <= 1 - 0.05 / len(seeds) + 0.002
    assert p <= family.adjust(p) <= min(1.0, len(seeds) * p) + 0.01


def test_make_family_keeps_reports_without_a_true_difference_quiet() -> None:
    """A source and three hospitals of 15 patients: 20 to 35 % claim a loss with each interval on its own."""
    design = StudyDesign((0.85,) * 3, (1.0, 0.8, 0.5), 4.0, 0.25)
    sites = [simulate_hospital(random_stream(7, "null", index), design, 15, 150) for index in range(4)]
    alone = together = 0
    for study in range(150):
        source, *others = (
            accuracy_contrast(correct[study], rows[study], f"site {index}")
            for index, (correct, rows) in enumerate(sites)
        )
        losses = [combine_contrasts([source, there], [1.0, -1.0]) for there in others if source and there]
        family = make_family(losses)
        for confidence in (0.95, family.each):
            ends = [loss.interval(confidence) for loss in losses]
            claimed = any(low > 0 or high < 0 for low, high in ends)
            alone, together = (alone + claimed, together) if confidence == 0.95 else (alone, together + claimed)
    assert together <= alone
    assert together / 150 < 0.05 + 2 * (0.05 * 0.95 / 150) ** 0.5
