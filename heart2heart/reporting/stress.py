"""The report's section on the stress test: accuracy under acoustic perturbations, by kind and level."""

from __future__ import annotations

import math
from collections.abc import Sequence

from heart2heart.reporting.figures import InspectedRun, SiteFigure
from heart2heart.reporting.numbers import percent
from heart2heart.reporting.participants import readable
from heart2heart.reporting.svg import LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.site_metrics import StressCurve

_COLUMNS = 4
_WIDTH, _PANEL_HEIGHT = 760, 130


def stress_figures(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw one figure a hospital: a panel for each kind of perturbation, with a line for each method.

    A line shows balanced accuracy over the level of the perturbation; its first point is that of the unperturbed
    frames. Hospitals without perturbed frames have no figure.
    """
    figures = []
    for index, site in enumerate(metrics.sites):
        curves = {detail.series: _kinds(detail.run.sites[index].stress) for detail in details}
        if any(curves.values()):
            figures.append(SiteFigure(site.site, _site_figure(f"stress-{index}", site.site, curves)))
    return figures


def _kinds(stress: Sequence[StressCurve]) -> list[StressCurve]:
    """Return the curves that have points: all but the mean over the kinds."""
    return [curve for curve in stress if curve.points]


def stress_line(curve: StressCurve) -> list[tuple[float, float]]:
    """Return level and balanced accuracy of each point of a curve, in per cent, from level 0 on.

    Level 0 follows from the first point: its accuracy less its change.
    """
    first = curve.points[0]
    line = []
    if first.balanced_accuracy.value is not None and first.change.value is not None:
        line.append((0.0, 100 * (first.balanced_accuracy.value - first.change.value)))
    line += [
        (point.level, 100 * point.balanced_accuracy.value)
        for point in curve.points
        if point.balanced_accuracy.value is not None
    ]
    return line


def _site_figure(name: str, site: str, curves: dict[int, list[StressCurve]]) -> str:
    kinds = [curve.perturbation for curve in next(each for each in curves.values() if each)]
    rows = math.ceil(len(kinds) / _COLUMNS)
    height = rows * _PANEL_HEIGHT + 34
    spoken = []
    with style():
        figure = new_figure(_WIDTH, height)
        for position, kind in enumerate(kinds):
            row, column = divmod(position, _COLUMNS)
            left, bottom = 0.05 + 0.245 * column, 1 - ((row + 1) * _PANEL_HEIGHT - 22) / height
            axes = figure.add_axes((left, bottom, 0.2, (_PANEL_HEIGHT - 46) / height))
            for series, drawn in curves.items():
                if position >= len(drawn):
                    continue
                line, series_index = stress_line(drawn[position]), series % len(SERIES)
                axes.plot(
                    [level for level, _ in line], [value for _, value in line], color=SERIES[series_index],
                    marker=MARKERS[series_index], markersize=4, linewidth=1.5,
                )  # fmt: skip
                loss = drawn[position].loss.value
                words = "unknown" if loss is None else percent(loss)
                spoken.append(f"{readable(kind)}, line {series + 1}: mean loss {words}")
            axes.set_title(readable(kind), fontsize=11, color=MUTED, loc="left", pad=4)
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(0, 104)
            axes.set_xticks([0, 0.5, 1])
            axes.set_yticks([0, 50, 100])
            axes.grid(True, color=LINE, linewidth=0.8)
            axes.tick_params(length=0, labelsize=10)
        figure.text(0.5, 6 / height, "Level of the perturbation", ha="center", fontsize=11, color=MUTED)
        described = f"Balanced accuracy at {site} by kind and level of perturbation. {'; '.join(spoken)}."
        return to_svg(figure, name, described)
