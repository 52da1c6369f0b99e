"""Run charts: what is drawn lies inside, at its place, and ticks are round."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.reporting.run_chart import RunChart, RunLine, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    numbers = ticks(low, low + width)
    assert len(numbers) <= 12
    assert all(low - 1e-6 * width - 1e-9 <= number <= low + width + 1e-6 * width + 1e-9 for number in numbers)
    assert numbers == sorted(numbers)


def test_draw_places_larger_values_higher_and_later_weeks_to_the_right() -> None:
    chart = RunChart(["2026-W52", "2026-W53", "2027-W01"], [RunLine([(0, 0.2), (1, 0.4), (2, 0.9)], 2)], level=0.5)
    text = chart.draw("Three <weeks>.", width=360)
    circles = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', text)]
    assert circles == sorted(circles, key=lambda each: each[0])
    assert [y for _, y in circles] == sorted((y for _, y in circles), reverse=True)
    assert all(0 < x < 360 and 0 < y < 230 for x, y in circles)
    assert "Three &lt;weeks&gt;." in text
    assert (text.count(">2026<"), text.count(">2027<"), text.count("stroke-dasharray")) == (1, 1, 1)


@pytest.mark.parametrize("values", [[0.0, 1e9], [1.0, 1.0], [1e-9, 60.0]])
def test_draw_takes_capitals_of_every_size(values: list[float]) -> None:
    chart = RunChart(["2026-W01", "2026-W02"], [RunLine(list(enumerate(values)), 1)], level=60, logarithmic=True)
    heights = [float(y) for y in re.findall(r'cy="([\d.-]+)"', chart.draw("Capital.", width=880))]
    assert all(math.isfinite(y) and 0 <= y <= 230 for y in heights)
