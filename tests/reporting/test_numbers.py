"""Formatting of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.evaluation.intervals import not_estimable
from heart2heart.reporting import numbers
from heart2heart.schema.site_metrics import Estimate


@pytest.mark.parametrize(
    ("value", "text"), [(0.71234, "71.2"), (-0.02, "\N{MINUS SIGN}2.0"), (0.0, "0.0"), (-0.0001, "0.0"), (1.0, "100.0")]
)
def test_points(value: float, text: str) -> None:
    assert numbers.points(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.034, "+3.4"), (-0.034, "\N{MINUS SIGN}3.4"), (0.0002, "0.0")])
def test_signed(value: float, text: str) -> None:
    assert numbers.signed(value) == text


@given(st.floats(-1, 1))
def test_points_round_to_a_tenth(value: float) -> None:
    assert float(numbers.points(value).replace("\N{MINUS SIGN}", "-")) == pytest.approx(100 * value, abs=0.0501)


def test_percent_and_others_of_missing_values() -> None:
    assert numbers.percent(None) == "not estimable"
    assert numbers.decimal(None) == "not estimable"
    assert numbers.interval(not_estimable("why")) == "interval not estimable"
    assert numbers.p_value(None) == "not estimable"


def test_interval_and_others_by_example() -> None:
    estimate = Estimate(value=0.5, low=-0.1, high=0.25, n=1, clusters=1, few_clusters=True)
    assert numbers.interval(estimate, sign=True).replace("\xa0", " ") == "\N{MINUS SIGN}10.0 to +25.0"
    assert numbers.percent(0.5) == "50.0\xa0%"
    assert numbers.count(1234567) == "1\xa0234\xa0567"
    assert numbers.p_value(0.0001) == "<\xa00.001"
    assert numbers.p_value(0.0421) == "0.042"
    assert numbers.decimal(-1.23456, 2) == "\N{MINUS SIGN}1.23"
    assert numbers.join_words(["a"]) == "a"
    assert numbers.join_words(["a", "b", "c"], last="or") == "a, b or c"
    assert numbers.plural(1, "study") == "1\xa0study"
    assert numbers.plural(2, "study") == "2\xa0studies"
