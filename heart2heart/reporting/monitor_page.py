"""The page of a monitor: whether there is an alarm, the run chart of every statistic, and the capital of every test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.evaluation.drift import ACCURACY, KINDS, DriftTest, MonitorState, WeekPoint
from heart2heart.reporting.numbers import join_words
from heart2heart.reporting.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.reporting.writer import render
from heart2heart.utils import write_text

_HEIGHT = 230.0
_WIDTHS = {"wide": 880.0, "narrow": 360.0}
_LABELS = {"wide": 13, "narrow": 5}
"""Week labels under a figure, at most."""


@dataclass(frozen=True)
class RunChart:
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
        "charts": [chart for test in state.tests for chart in _charts(test)],
        "capital": _capital_chart(state) if any(test.capital for test in state.tests) else None,
        "sha256": state.journal.last_sha256,
    }


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


def _charts(test: DriftTest) -> list[RunChart]:
    charts = []
    for name, points in test.points.items():
        if not any(point.mean is not None for point in points):
            continue
        title = statistic_title(name)
        alarm = test.alarm is not None and name == test.leading
        known = [point for point in points if point.mean is not None]
        last = known[-1]
        caption = (
            f"{title}: {last.mean:.3f} in {last.week}, reference {test.reference[name]:.3f}"
            if name != ACCURACY
            else f"{title}: {last.mean:.3f} in {last.week}, at least {test.reference[name]:.3f} is needed"
        )
        wide, narrow = (_run_chart(test, name, points, size) for size in _WIDTHS)
        charts.append(RunChart(title, alarm, wide, narrow, caption))
    return charts


def _run_chart(test: DriftTest, name: str, points: tuple[WeekPoint, ...], size: str) -> str:
    """Draw weekly means with their intervals, the reference as a dashed line, and the alarm as a vertical line."""
    title = statistic_title(name)
    with style():
        figure = new_figure(_WIDTHS[size], _HEIGHT)
        axes = _axes(figure, size)
        if test.running:
            low, high = zip(*test.running, strict=True)
            axes.fill_between(range(len(low)), low, high, color=SERIES[1], alpha=0.15, linewidth=0)
        known = [(index, point) for index, point in enumerate(points) if point.mean is not None]
        for index, point in known:
            if point.low is not None and point.high is not None:
                axes.plot([index, index], [point.low, point.high], color=MUTED, linewidth=1)
        means = [point.mean for _, point in known]
        axes.plot([index for index, _ in known], means, color=SERIES[1], marker=MARKERS[1], markersize=4, linewidth=1.5)
        if math.isfinite(test.reference[name]):
            axes.axhline(test.reference[name], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        if test.alarm in test.weeks:
            axes.axvline(test.weeks.index(str(test.alarm)), color=SERIES[0], linewidth=1.5)
        _week_ticks(axes, [point.week for point in points], size)
        axes.set_ylabel("accuracy" if name == ACCURACY else "mean over patients", fontsize=11)
        description = f"Run chart of {title} by week."
        return to_svg(figure, f"run-{name.replace(':', '-').replace(' ', '-')}-{size}", description)


def _capital_chart(state: MonitorState) -> dict[str, str]:
    """Draw the capital of every test on a logarithmic scale, with the threshold; one drawing a size of screen."""
    drawings = {}
    weeks = state.journal.weeks()
    for size, width in _WIDTHS.items():
        with style():
            figure = new_figure(width, _HEIGHT)
            axes = _axes(figure, size)
            axes.set_yscale("log")
            for index, test in enumerate(state.tests):
                positions = [weeks.index(week) for week in test.weeks]
                axes.plot(
                    positions, [max(value, 1e-3) for value in test.capital], color=SERIES[index % len(SERIES)],
                    marker=MARKERS[index % len(MARKERS)], markersize=4, linewidth=1.5,
                )  # fmt: skip
            threshold = state.tests[0].threshold
            axes.axhline(threshold, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            most = max((value for test in state.tests for value in test.capital), default=1.0)
            axes.set_ylim(1e-3, max(threshold * 3, min(most * 3, 1e12)))
            _week_ticks(axes, weeks, size)
            axes.set_ylabel("capital", fontsize=11)
            drawings[size] = to_svg(figure, f"capital-{size}", "Capital of every test by week, with the threshold.")
    return drawings


def _axes(figure: Any, size: str) -> Any:
    width = _WIDTHS[size]
    axes = figure.add_axes((60 / width, 42 / _HEIGHT, (width - 76) / width, (_HEIGHT - 54) / _HEIGHT))
    axes.yaxis.grid(True, color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def _week_ticks(axes: Any, weeks: list[str], size: str) -> None:
    """Label the weeks: the year where it begins, and at most as many as fit."""
    step = max(1, math.ceil(len(weeks) / _LABELS[size]))
    chosen = list(range(0, len(weeks), step))
    labels = []
    for position, index in enumerate(chosen):
        year, _, number = weeks[index].partition("-")
        labels.append(f"{number}\n{year}" if position == 0 or weeks[chosen[position - 1]][:4] != year else number)
    axes.set_xticks(chosen, labels, fontsize=10)
    axes.set_xlim(-0.6, max(len(weeks) - 0.4, 0.6))
