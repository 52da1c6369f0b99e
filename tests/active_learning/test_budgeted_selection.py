"""What holds for every method: the budget, patients, costs, repeats, and what was read already."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.active_learning.queue import QueueSettings, select_clips
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.schema.views import VIEWS
from heart2heart.testing.data_checks import random_pool
from tests.active_learning.support import NAMES, picked, places


@pytest.mark.parametrize("by", NAMES)
def test_select_clips_keeps_every_limit_and_is_repeatable(by: str) -> None:
    rng = np.random.default_rng(5)
    pool = random_pool(
        90, cost=rng.uniform(0.5, 4, 90), duplicate_group=np.where(np.arange(90) % 9 == 0, 0, np.arange(90))
    )
    limits: dict[str, Any] = {"per_patient": 3, "spend": 40.0}
    picks = picked(by, pool, 20, **limits)
    chosen = places(picks)
    assert chosen
    assert len(set(chosen)) == len(chosen) <= 20
    assert not pool.labeled_mask[chosen].any()
    assert not np.isin(pool.duplicate_group[chosen], pool.duplicate_group[pool.labeled_mask]).any()
    assert max(Counter(pool.patient[chosen].tolist()).values()) <= 3
    assert pool.cost[chosen].sum() <= 40
    assert places(picked(by, pool, 20, **limits)) == chosen
    for pick in picks:
        assert pick.reason
        assert not any(view in pick.reason for view in VIEWS), "a reason must not suggest a view to the rater"


@pytest.mark.parametrize("by", NAMES)
def test_select_clips_can_select_the_whole_pool_once(by: str) -> None:
    pool = random_pool(20, labeled=8)
    assert sorted(places(picked(by, pool, 12))) == list(range(8, 20))
    assert len(picked(by, pool, 50)) == 12


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(2, 7), st.integers(0, 99))
def test_budgeted_selection_spreads_over_patients(budget: int, patients: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = random_pool(60, patient=rng.integers(0, patients, 60))
    counts = Counter(pool.patient[places(picked("entropy", pool, budget, spread=True))].tolist())
    left = Counter(pool.patient[~pool.labeled_mask].tolist())
    highest = max(counts.values())
    for patient, there in left.items():
        assert counts[patient] >= min(there, highest - 1)


def test_select_top_divides_the_score_by_the_cost() -> None:
    pool = random_pool()
    first = places(picked("entropy", pool, 1))[0]
    cost = np.ones(60)
    cost[first] = 1000
    assert first not in places(picked("entropy", random_pool(cost=cost), 40))


def test_budgeted_selection_takes_one_of_each_duplicate_group() -> None:
    picture = np.arange(60)
    picture[[20, 30, 40]] = 20
    picture[[5, 50]] = 5  # clip 5 was read
    pool = random_pool(duplicate_group=picture)
    chosen = places(picked("random", pool, 60))
    assert len({20, 30, 40} & set(chosen)) == 1
    assert 50 not in chosen
    assert pool.available == len(chosen) == 45


def test_select_clips_refuses_limits_that_leave_too_few() -> None:
    pool = random_pool()
    with pytest.raises(UnknownNameError, match="unknown method of the queue 'best'"):
        select_clips(pool, QueueSettings(by="best", budget=1))
    with pytest.raises(ConfigError, match="at most 1 of a patient are 10"):
        select_clips(pool, QueueSettings(by="random", budget=20, per_patient=1))
    with pytest.raises(ConfigError, match="a budget of 49 clips, but only 48 are left"):
        select_clips(pool, QueueSettings(by="random", budget=49))
    with pytest.raises(ConfigError, match="every clip costs more"):
        select_clips(pool, QueueSettings(by="random", budget=20, spend=0.5))
    assert len(select_clips(pool, QueueSettings(by="random", budget=20, spend=3.5))) == 3
    for wrong in ({"frames": "some"}, {"modes": ("x_ray",)}, {"rare": ("A4C",)}, {"budget": 0}):
        with pytest.raises(ConfigError):
            QueueSettings.parse({"by": "random", "budget": 1} | wrong, where="here")
