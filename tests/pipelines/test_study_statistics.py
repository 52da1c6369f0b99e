"""Statistics of paired seeds against scipy, against references written out here, and against simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heart2heart.evaluation.intervals import holm
from pipelines.study_statistics import (
    Floats,
    detectable_effect,
    flipped_signs,
    paired_power,
    paired_tests,
    seeds_needed,
)

VALUES = st.lists(st.floats(-20, 20).map(lambda value: round(value, 3)), min_size=3, max_size=6)


@pytest.mark.parametrize(("effect", "deviation", "seeds", "tests"), [(2, 2, 10, 1), (2, 2, 8, 20), (1, 3, 5, 1)])
def test_paired_power_is_that_of_the_noncentral_t(effect: float, deviation: float, seeds: int, tests: int) -> None:
    alpha, shift = 0.05 / tests, effect / deviation * np.sqrt(seeds)
    limit = stats.t.ppf(1 - alpha / 2, seeds - 1)
    known = stats.nct.sf(limit, seeds - 1, shift) + stats.nct.cdf(-limit, seeds - 1, shift)
    assert paired_power(effect, deviation, seeds, tests=tests) == pytest.approx(known, abs=1e-5)


def test_paired_power_agrees_with_simulated_studies() -> None:
    draws = np.random.default_rng(0).normal(1.5, 2.0, (20_000, 8))
    p = stats.ttest_1samp(draws, 0, axis=1).pvalue
    assert paired_power(1.5, 2.0, 8) == pytest.approx(float(np.mean(p < 0.05)), abs=0.015)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.5, 5), st.integers(3, 20), st.integers(1, 60))
def test_detectable_effect_and_seeds_needed_invert_the_power(deviation: float, seeds: int, tests: int) -> None:
    effect = detectable_effect(deviation, seeds, tests=tests)
    assert paired_power(effect, deviation, seeds, tests=tests) == pytest.approx(0.8, abs=1e-6)
    assert seeds_needed(effect * 1.001, deviation, tests=tests) == seeds
    assert seeds_needed(1e-4, deviation) is None


def _holm_written_out(p_values: list[float]) -> list[float]:
    """Holm by its definition: the k-th smallest is multiplied by m - k + 1, and no later one may be smaller."""
    count = len(p_values)
    order = sorted(range(count), key=p_values.__getitem__)
    steps = [min(1.0, (count - rank) * p_values[index]) for rank, index in enumerate(order)]
    return [max(steps[: order.index(index) + 1]) for index in range(count)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_follows_its_definition(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(_holm_written_out(p_values))


@settings(max_examples=40, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_paired_tests_are_those_of_student_with_holm(family: list[list[float]]) -> None:
    named = {str(index): dict(enumerate(values)) for index, values in enumerate(family)}
    tests = paired_tests(named)
    for name, values in named.items():
        numbers = np.array(list(values.values()))
        if numbers.std() > 1e-3:
            assert tests[name].p == pytest.approx(stats.ttest_1samp(numbers, 0).pvalue, abs=1e-9)
    assert [tests[name].p_holm for name in named] == pytest.approx(holm([tests[name].p for name in named]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(-9, 9).filter(bool), min_size=4, max_size=4), min_size=1, max_size=3))
def test_flipped_signs_counts_every_flip(family: list[list[int]]) -> None:
    values = np.array(family, float) + np.array([0.1, 0.23, 0.37, 0.59])  # no ties and no zero deviation
    flips = np.array(list(product((-1, 1), repeat=4)))

    def statistic(rows: Floats) -> Floats:
        return np.asarray(np.abs(rows.mean(1)) / (rows.std(1, ddof=1) / 2), np.float64)

    largest = np.array([statistic(values * flip).max() for flip in flips])
    known = [(largest >= one * (1 - 1e-9)).mean() for one in statistic(values)]
    assert flipped_signs([dict(enumerate(row)) for row in values.tolist()]) == pytest.approx(known)


def test_flipped_signs_of_many_seeds_are_drawn_and_hold_the_error_rate() -> None:
    rng = np.random.default_rng(0)
    noise = [flipped_signs([dict(enumerate(rng.normal(size=20))) for _ in range(3)]) for _ in range(40)]
    assert np.mean([min(each) < 0.05 for each in noise]) < 0.16  # 5 % of families, three standard errors
    effect = flipped_signs([dict(enumerate(2 + rng.normal(size=20)))])
    assert effect[0] < 0.001


def test_paired_tests_of_one_seed_have_no_p_value() -> None:
    tests = paired_tests({"one": {0: 3.0}, "none": {}})
    assert list(tests) == ["one"]
    assert np.isnan([tests["one"].p, tests["one"].p_holm, tests["one"].p_flips]).all()
