"""Run charts as inline SVG, written directly: a page of a monitor has many, and a weekly job should be quick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 12.0, 40.0
_HEIGHT = 230.0
_TICKS = 5

Point = tuple[int, float]


@dataclass(frozen=True)
class RunLine:
    """One line of a chart.

    Attributes:
        points: Week, counted from 0, and value.
        series: Number of its colour, from 1 to 8.
    """

    points: Sequence[Point]
    series: int


@dataclass(frozen=True)
class RunChart:
    """What a chart shows.

    Attributes:
        weeks: Names of the weeks, ISO.
        lines: The lines.
        whiskers: Week, lower and upper end of each interval.
        band: Week, lower and upper end of an interval that is drawn as an area.
        level: Value of the dashed line; NaN: none.
        mark: Week of the vertical line, counted from 0.
        logarithmic: Whether the scale is logarithmic.
    """

    weeks: Sequence[str]
    lines: Sequence[RunLine]
    whiskers: Sequence[tuple[int, float, float]] = ()
    band: Sequence[tuple[int, float, float]] = ()
    level: float = math.nan
    mark: int | None = None
    logarithmic: bool = False

    def draw(self, description: str, *, width: float) -> str:
        """Return the SVG element.

        Args:
            description: Text for screen readers.
            width: Width, CSS pixels.
        """
        scale = _Scale(self, width)
        labels = max(2, int(width / 68))
        parts = [*scale.grid(), *scale.week_labels(labels)]
        if self.band:
            ends = [(week, low) for week, low, _ in self.band] + [(week, high) for week, _, high in self.band[::-1]]
            shape = " ".join(scale.point(week, value) for week, value in ends)
            parts.append(f'<polygon points="{shape}" fill="var(--series-2)" fill-opacity="0.15"/>')
        if math.isfinite(self.level):
            y = scale.y(self.level)
            parts.append(_line(_LEFT, y, width - _RIGHT, y, "var(--ink)", 'stroke-dasharray="4 3"'))
        for week, low, high in self.whiskers:
            parts.append(_line(scale.x(week), scale.y(low), scale.x(week), scale.y(high), "var(--muted)"))
        if self.mark is not None:
            x = scale.x(self.mark)
            parts.append(_line(x, _TOP, x, _HEIGHT - _BOTTOM, "var(--series-1)", 'stroke-width="2"'))
        for line in self.lines:
            colour = f"var(--series-{line.series})"
            path = " ".join(scale.point(week, value) for week, value in line.points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            for week, value in line.points:
                centre = f'cx="{scale.x(week):.1f}" cy="{scale.y(value):.1f}"'
                parts.append(f'<circle {centre} r="2.6" fill="{colour}"/>')
        opening = (
            f'<svg viewBox="0 0 {width:g} {_HEIGHT:g}" style="max-width:{width:g}px" role="img" '
            f'aria-label="{escape(description)}">'
        )
        return opening + "".join(parts) + "</svg>"


@dataclass
class _Scale:
    """Positions of weeks and values in a chart."""

    chart: RunChart
    width: float
    low: float = field(init=False)
    high: float = field(init=False)

    def __post_init__(self) -> None:
        chart = self.chart
        values = [value for line in chart.lines for _, value in line.points]
        values += [end for _, low, high in (*chart.whiskers, *chart.band) for end in (low, high)]
        values = [self._transform(value) for value in (*values, chart.level) if math.isfinite(value)] or [0.0]
        room = (max(values) - min(values)) * 0.06 or 0.05
        self.low, self.high = min(values) - room, max(values) + room

    def _transform(self, value: float) -> float:
        return math.log10(max(value, 1e-3)) if self.chart.logarithmic else value

    def x(self, week: int) -> float:
        """Return the horizontal position of a week."""
        inside = self.width - _LEFT - _RIGHT
        return _LEFT + inside * (week + 0.5) / max(len(self.chart.weeks), 1)

    def y(self, value: float) -> float:
        """Return the vertical position of a value."""
        inside = _HEIGHT - _TOP - _BOTTOM
        return _TOP + inside * (self.high - self._transform(value)) / (self.high - self.low)

    def point(self, week: int, value: float) -> str:
        """Return a position as SVG writes it."""
        return f"{self.x(week):.1f},{self.y(value):.1f}"

    def grid(self) -> list[str]:
        """Return the horizontal lines and their values."""
        parts = []
        for tick in ticks(self.low, self.high, whole=self.chart.logarithmic):
            y = self.y(10**tick if self.chart.logarithmic else tick)
            text = f"{10**tick:g}" if self.chart.logarithmic else f"{tick:g}"
            parts.append(_line(_LEFT, y, self.width - _RIGHT, y, "var(--line)"))
            parts.append(_text(_LEFT - 6, y + 4, text, "end"))
        return parts

    def week_labels(self, most: int) -> list[str]:
        """Return the names of the weeks, at most as many as fit; the year is below the first week of each."""
        weeks = self.chart.weeks
        chosen = range(0, len(weeks), max(1, math.ceil(len(weeks) / most)))
        parts, year = [], ""
        for week in chosen:
            before, _, name = weeks[week].partition("-")
            parts.append(_text(self.x(week), _HEIGHT - _BOTTOM + 16, name, "middle"))
            if before != year:
                parts.append(_text(self.x(week), _HEIGHT - _BOTTOM + 31, before, "middle"))
                year = before
        return parts


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return round numbers between two values, about five of them.

    Examples:
        >>> ticks(0.72, 0.98), ticks(-1.2, 3.1, whole=True)
        ([0.75, 0.8, 0.85, 0.9, 0.95], [-1.0, 0.0, 1.0, 2.0, 3.0])
    """
    rough = (high - low) / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 2.5, 5, 10)), key=lambda each: abs(math.log(each / rough)))
    step = float(max(round(step), 1)) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}" {more}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    style = f'font-size="11" fill="var(--muted)" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
