"""Small forest plots with a label at the left of each row: votes, subgroups and probes of one hospital."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heart2heart.report.forest import Line
from heart2heart.report.numbers import interval, percent
from heart2heart.report.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 380.0, 132.0, 14.0, 6.0, 40.0  # pixels
_ROW, _LINE, _HEADING, _FIT = 13.0, 13.0, 24.0, 21


@dataclass(frozen=True)
class Row:
    """One row: its label and one estimate a method. A row without lines is a heading."""

    label: str
    lines: tuple[Line, ...] = ()

    @property
    def height(self) -> float:
        """In pixels."""
        return _ROW + _LINE * len(self.lines) if self.lines else _HEADING


def rows_figure(rows: Sequence[Row], name: str, description: str, *, axis: str, reference: float | None = None) -> str:
    """Draw shares between 0 and 1 with their intervals; the numbers belong into a table beside the figure.

    Args:
        rows: From top to bottom.
        name: Unique in the page.
        description: For screen readers; every number is appended to it.
        axis: What is drawn, in percent.
        reference: Where a dashed vertical line stands, such as chance.
    """
    plot_height = sum(row.height for row in rows)
    height = _TOP + plot_height + _BOTTOM
    with style():
        figure = new_figure(_WIDTH, height)
        plot = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
        axes = figure.add_axes((_LEFT / _WIDTH, _BOTTOM / height, plot, plot_height / height))
        axes.set_xlim(0, 100)
        axes.set_ylim(plot_height, 0)
        axes.set_yticks([])
        axes.set_xticks(range(0, 101, 25))
        axes.spines["left"].set_visible(False)
        axes.xaxis.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_axisbelow(True)
        axes.set_xlabel(f"{axis}, %", fontsize=11)
        if reference is not None:
            axes.axvline(100 * reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        beside = axes.get_yaxis_transform()
        left = -(_LEFT - 2) / (_WIDTH - _LEFT - _RIGHT)
        y = 0.0
        for row in rows:
            weight = "normal" if row.lines else "bold"
            axes.text(left, y + row.height / 2, _fit(row.label), fontsize=11, fontweight=weight, va="center",
                      color=INK, transform=beside)  # fmt: skip
            for place, line in enumerate(row.lines):
                at, found, series = y + _ROW / 2 + _LINE * (place + 0.5), line.estimate, line.series % len(SERIES)
                if found.value is None:
                    axes.text(1, at, "not estimable", fontsize=10, color=MUTED, va="center")
                    continue
                if found.low is not None and found.high is not None:
                    axes.plot([100 * found.low, 100 * found.high], [at, at], color=SERIES[series], linewidth=2,
                              solid_capstyle="butt", clip_on=False)  # fmt: skip
                axes.plot([100 * found.value], [at], marker=MARKERS[series], markersize=6.5, color=SERIES[series],
                          linestyle="none", clip_on=False)  # fmt: skip
            y += row.height
        return to_svg(figure, name, f"{description} {_say(rows)}")


def _fit(label: str) -> str:
    return label if len(label) <= _FIT else label[: _FIT - 1].rstrip() + "…"


def _say(rows: Sequence[Row]) -> str:
    parts = []
    for row in rows:
        numbers = ", ".join(f"{percent(line.estimate.value)} ({interval(line.estimate)})" for line in row.lines)
        parts.append(f"{row.label}: {numbers}." if numbers else f"{row.label}.")
    return " ".join(parts)
