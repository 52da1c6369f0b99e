"""Tests by betting against their formulas; the false alarms of all looks together are bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.evaluation.betting import (
    capital,
    confidence_sequence,
    conformal_ranks,
    mean_factors,
    rank_factors,
)

VALUES = st.lists(st.integers(0, 5).map(float), max_size=12)


@given(VALUES, VALUES, st.floats(0, 1))
def test_conformal_ranks_count_larger_and_equal_values(old: list[float], new: list[float], chance: float) -> None:
    ranks = conformal_ranks(old, new, [chance] * len(new))
    seen = list(old)
    for value, rank in zip(new, ranks, strict=True):
        seen.append(value)
        larger, equal = sum(other > value for other in seen), sum(other == value for other in seen)
        assert rank == pytest.approx((larger + chance * equal) / len(seen))


def test_rank_factors_are_fair() -> None:
    ranks = (np.arange(10_000) + 0.5) / 10_000
    factors = rank_factors(ranks)
    assert factors.mean(0) == pytest.approx(1, abs=1e-6)
    assert factors.min() > 0


@given(st.floats(0.05, 0.95), st.floats(0, 1))
def test_mean_factors_lose_at_the_least_mean(least: float, spread: float) -> None:
    ends = np.array([0.0, 1.0])
    chance = np.array([1 - least, least])  # the widest variable of this mean
    factors = mean_factors(ends, least)
    assert (chance @ factors) == pytest.approx(1)
    assert factors.min() > 0
    assert (mean_factors(np.array([least + spread * (1 - least)]), least) <= 1 + 1e-12).all()


def test_capital_is_the_mean_over_starts_and_bets() -> None:
    factors = np.array([[1.2, 0.8], [1.5, 0.5], [0.9, 1.1]])
    week = np.array([0, 0, 2])
    # Bets from week 0 see all, from weeks 1 and 2 the last observation alone.
    whole = [(1.2 + 0.8) / 2, (1.2 * 1.5 + 0.8 * 0.5) / 2, (1.2 * 1.5 * 0.9 + 0.8 * 0.5 * 1.1) / 2]
    last = [1.0, 1.0, (0.9 + 1.1) / 2]
    assert capital(factors, week, 3) == pytest.approx((np.array(whole) + 2 * np.array(last)) / 3)
    assert capital(np.empty((0, 2)), np.empty(0, int), 3).tolist() == []


def test_capital_seldom_reaches_the_threshold_while_nothing_changes() -> None:
    generator = np.random.default_rng(0)
    week = np.repeat(np.arange(20), 5)
    alarms = 0
    for _ in range(200):
        reference, values = generator.random(30), generator.random(100)
        ranks = conformal_ranks(reference.tolist(), values.tolist(), generator.random(100).tolist())
        alarms += bool(capital(rank_factors(ranks), week, 20).max() >= 20)
    assert alarms <= 16  # at most 5 % of 200, and two standard errors


def test_confidence_sequence_holds_the_mean_at_every_look_and_shrinks() -> None:
    generator = np.random.default_rng(0)
    missed = 0
    for _ in range(15):
        values = (generator.random(120) < 0.8).astype(float)
        low, high = confidence_sequence(values, 0.05)
        missed += bool(((low > 0.8) | (high < 0.8)).any())
    assert missed <= 3
    assert high[-1] - low[-1] < 0.3 < high[5] - low[5]
