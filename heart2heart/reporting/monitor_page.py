"""The page of a monitor: whether there is an alarm, the run chart of every statistic, and the capital of every test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.evaluation.drift import ACCURACY, KINDS, DriftTest, MonitorState, WeekPoint
from heart2heart.reporting.numbers import join_words
from heart2heart.reporting.run_chart import RunChart, RunLine
from heart2heart.reporting.writer import render
from heart2heart.utils import write_text

_WIDTHS = {"wide": 880.0, "narrow": 360.0}
"""Widths of the drawings, CSS pixels."""


@dataclass(frozen=True)
class StatisticChart:
    """One statistic.

    Attributes:
        title: Its name for readers.
        alarm: Whether its kind raised the alarm and it leads.
        wide: SVG for wide screens.
        narrow: SVG for narrow screens.
        caption: What the figure shows.
    """

    title: str
    alarm: bool
    wide: str
    narrow: str
    caption: str


def write_monitor_page(state: MonitorState, out: Path) -> Path:
    """Write the page as one self-contained HTML file; the same journal gives the same bytes.

    Args:
        state: What the journal shows.
        out: HTML file.

    Returns:
        `out`.

    Examples:
        >>> from heart2heart.api import show_monitor, start_monitor
        >>> rows = [f"c{i},p{i},E,{0.6 + i / 100},{0.4 - i / 100}" for i in range(30)]
        >>> _ = Path("page.csv").write_text(chr(10).join(["case,patient,site,A4C,PLAX", *rows]))
        >>> state = start_monitor("page.jsonl", "page.csv")
        >>> "No alarm" in write_monitor_page(state, Path("page.html")).read_text()
        True
    """
    write_text(out, render("monitor.html.j2", page_content(state), escape=True))
    return out


def page_content(state: MonitorState) -> dict[str, Any]:
    """Return the content of the template, by name."""
    start = state.journal.start
    weeks = state.journal.weeks()
    return {
        "site": start.settings.site,
        "settings": start.settings,
        "start": start,
        "weeks": weeks,
        "records": state.journal.records,
        "headline": headline(state),
        "alarms": state.alarms,
        "tests": state.tests,
        "kinds": KINDS,
        "statistic_title": statistic_title,
        "amount": amount,
        "charts": [chart for test in state.tests for chart in _charts(test)],
        "capital": capital_chart(state) if any(test.capital for test in state.tests) else None,
        "sha256": state.journal.last_sha256,
    }


def amount(capital: float) -> str:
    """Write a capital: two digits below 10, whole numbers above, and a bound from a million on.

    Examples:
        >>> amount(0.123), amount(59.6), amount(3e9)
        ('0.12', '60', 'more than a million')
    """
    if capital >= 1e6:
        return "more than a million"
    return f"{capital:.2f}" if capital < 10 else f"{capital:.0f}"


def headline(state: MonitorState) -> str:
    """Return the result in one sentence."""
    weeks = len(state.journal.weeks())
    if not state.alarms:
        if not weeks:
            return "No alarm: no week was added yet"
        return f"No alarm in {weeks} {'week' if weeks == 1 else 'weeks'}"
    names = [f"{test.kind} since {test.alarm}" for test in state.alarms]
    return f"Alarm: {join_words(names)}"


def statistic_title(name: str) -> str:
    """Return a statistic's name for readers.

    Examples:
        >>> statistic_title("share:A4C"), statistic_title("picture:depth_1")
        ('share predicted A4C', 'pictures: depth 1')
    """
    kind, _, rest = name.partition(":")
    if kind == "share":
        return f"share predicted {rest}"
    if kind == "picture":
        return f"pictures: {rest.replace('_', ' ')}"
    return {
        "confidence": "mean of the largest probability",
        "entropy": "mean entropy, share of the largest possible",
        "quality": "image quality",
        ACCURACY: "audited accuracy",
    }.get(name, name)


def _charts(test: DriftTest) -> list[StatisticChart]:
    charts = []
    for name, points in test.points.items():
        if not any(point.mean is not None for point in points):
            continue
        title = statistic_title(name)
        alarm = test.alarm is not None and name == test.leading
        known = [point for point in points if point.mean is not None]
        last = known[-1]
        caption = (
            f"{last.mean:.3f} in {last.week}, reference {test.reference[name]:.3f}"
            if name != ACCURACY
            else f"{last.mean:.3f} in {last.week}, at least {test.reference[name]:.3f} is needed"
        )
        wide, narrow = (_run_chart(test, name, points, width) for width in _WIDTHS.values())
        charts.append(StatisticChart(title, alarm, wide, narrow, caption))
    return charts


def _run_chart(test: DriftTest, name: str, points: tuple[WeekPoint, ...], width: float) -> str:
    """Draw weekly means with their intervals, the reference as a dashed line, and the alarm as a vertical line."""
    means = [(week, point.mean) for week, point in enumerate(points) if point.mean is not None]
    whiskers = [
        (week, point.low, point.high)
        for week, point in enumerate(points)
        if point.low is not None and point.high is not None
    ]
    chart = RunChart(
        weeks=[point.week for point in points],
        lines=[RunLine(means, 2)],
        whiskers=whiskers,
        band=[(week, low, high) for week, (low, high) in enumerate(test.running)],
        level=test.reference[name],
        mark=test.weeks.index(test.alarm) if test.alarm in test.weeks else None,
    )
    return chart.draw(f"Run chart of {statistic_title(name)} by week.", width=width)


def capital_chart(state: MonitorState) -> dict[str, str]:
    """Draw the capital of every test on a logarithmic scale, with the threshold; one drawing a size of screen."""
    weeks = state.journal.weeks()
    lines = [
        RunLine([(weeks.index(week), value) for week, value in zip(test.weeks, test.capital, strict=True)], index)
        for index, test in enumerate(state.tests, start=1)
        if test.capital
    ]
    chart = RunChart(weeks, lines, level=state.tests[0].threshold, logarithmic=True)
    description = "Capital of every test by week, with the threshold."
    return {size: chart.draw(description, width=width) for size, width in _WIDTHS.items()}
