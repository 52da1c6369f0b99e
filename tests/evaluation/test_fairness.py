"""Differences of subgroups against a reference, and their joint error rate in simulated reports."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from benchmarks.claims import subgroup_claims
from heart2heart.evaluation.fairness import level_difference, site_differences, subgroup_family
from heart2heart.evaluation.subgroups import score_strata
from tests.evaluation.simulation import draw_frames, evaluation_context, make_site


def test_site_differences_agree_with_sklearn_and_leave_unknown_out() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(2), 90)
    sex = np.array(["F", "M", "unknown"], object)[cluster % 3]
    site = make_site(logits, truth, cluster, factors={"sex": sex})
    differences = list(site_differences(site, 0, {"sex": ["F", "M", "unknown"]}))
    assert [(factor, level) for factor, level, _ in differences] == [("sex", "F"), ("sex", "M")]
    predicted = logits.argmax(1)
    for _, level, difference in differences:
        inside = sex == level
        expected = balanced_accuracy_score(truth[inside], predicted[inside]) - balanced_accuracy_score(
            truth[~inside], predicted[~inside]
        )
        assert difference.contrast.value == pytest.approx(expected)
        assert difference.clusters == 30
        assert difference.n == inside.sum()


def test_level_difference_of_disjoint_patients_joins_two_wilson_intervals() -> None:
    """A subgroup that is right everywhere has no variance, but its interval has a length."""
    rows = np.full((20, 1), 3.0)
    inside = np.repeat([1.0, 0.0], [5, 15])[:, None]
    correct = np.where(inside > 0, 3.0, 2.0)
    difference = level_difference(correct, rows, correct * inside, rows * inside, "north")
    assert difference is not None
    low, _ = difference.contrast.interval(0.95)
    assert low < difference.contrast.value == pytest.approx(1 / 3)
    assert difference.contrast.value - low > 0.3
    assert level_difference(correct, rows, correct * (inside * 0), rows * (inside * 0), "north") is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40))
def test_level_difference_changes_sign_with_its_sides(seed: int, patients: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 5, (patients, 3)).astype(float)
    correct = rng.binomial(rows.astype(int), 0.7).astype(float)
    inside = (rng.random((patients, 1)) < 0.4).astype(float)
    one = level_difference(correct, rows, correct * inside, rows * inside, "north")
    other = level_difference(correct, rows, correct * (1 - inside), rows * (1 - inside), "north")
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        low, high = one.contrast.interval(0.95)
        assert other.contrast.interval(0.95) == pytest.approx((-high, -low))


def test_subgroup_family_counts_two_levels_once_and_widens_the_intervals() -> None:
    logits, truth, cluster = draw_frames(np.random.default_rng(3), 80)
    factors = {
        "sex": np.array(["F", "M"], object)[cluster % 2],
        "maker": np.array(["one", "two", "three"], object)[cluster % 3],
    }
    site = make_site(logits, truth, cluster, factors=factors)
    levels = {"sex": ["F", "M"], "maker": ["one", "two", "three"]}
    family = subgroup_family([site, None], 0, levels)
    assert family.tests == 4
    assert 1 - 0.05 / 3 < family.each < 1 - 0.05 / 6
    context = evaluation_context(3)
    strata = score_strata(site, 0, levels, type(context)(**{**vars(context), "subgroups": family}))
    for stratum in strata:
        assert stratum.difference is not None
        assert stratum.simultaneous is not None
        assert stratum.difference.low is not None
        assert stratum.simultaneous.low is not None
        assert stratum.simultaneous.low < stratum.difference.low
    assert subgroup_family([None], 0, levels).tests == 0


def test_subgroup_family_keeps_the_error_rate_of_reports() -> None:
    alone, joint = subgroup_claims(0.85, 20, 2, 120, 5)
    assert alone > 0.2
    assert joint <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 120)
