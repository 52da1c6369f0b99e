"""Figures of ROC and precision-recall curves: two small ones a hospital, with a line for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heart2heart.evaluation.class_curves import ClassCurve
from heart2heart.evaluation.classification import Floats
from heart2heart.reporting.numbers import interval, percent
from heart2heart.reporting.svg import LINE, MARKER_SIGNS, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.schema.metrics import RunMetrics
from heart2heart.schema.site_metrics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 360.0, 300.0
_FEW_MARKERS = 6


@dataclass(frozen=True)
class CurveRow:
    """Numbers of one class at one hospital beside the curves."""

    view: str
    auroc: Estimate
    average_precision: float
    share: float


@dataclass(frozen=True)
class SiteCurves:
    """The curves of one hospital: two figures and their numbers."""

    site: str
    roc: str
    precision_recall: str
    rows: tuple[CurveRow, ...]


def site_curves(
    curves: Mapping[str, Sequence[ClassCurve]], run: RunMetrics, classes: Sequence[str]
) -> list[SiteCurves]:
    """Draw the curves of every hospital that has frames of two classes.

    Args:
        curves: From `class_curves`.
        run: Metrics of the same run, for AUROC with its interval.
        classes: All classes; the position sets colour and marker.
    """
    drawn = []
    for index, site in enumerate(run.sites):
        of_site = curves.get(site.site, [])
        if not of_site:
            continue
        rows = tuple(
            CurveRow(curve.view, site.auroc[curve.view], curve.average_precision, curve.share) for curve in of_site
        )
        series = [classes.index(curve.view) for curve in of_site]
        drawn.append(
            SiteCurves(
                site.site,
                _roc(f"roc-{index}", site.site, of_site, series, rows),
                _precision_recall(f"pr-{index}", site.site, of_site, series, rows),
                rows,
            )
        )
    return drawn


def class_legend(classes: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return series number, marker and name of each class, as drawn."""
    return [
        (index % len(SERIES) + 1, MARKER_SIGNS[index % len(MARKER_SIGNS)], view) for index, view in enumerate(classes)
    ]


def _roc(name: str, site: str, curves: Sequence[ClassCurve], series: Sequence[int], rows: Sequence[CurveRow]) -> str:
    with style():
        figure, axes = _axes("False positive rate, %", "Sensitivity, %")
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for curve, number in zip(curves, series, strict=True):
            _line(axes, 100 * curve.false_positive_rate, 100 * curve.sensitivity, number)
        numbers = ", ".join(f"{row.view} {percent(row.auroc.value)} ({interval(row.auroc)})" for row in rows)
        return to_svg(figure, name, f"ROC curves at {site}; dashed: chance. AUROC: {numbers}.")


def _precision_recall(
    name: str, site: str, curves: Sequence[ClassCurve], series: Sequence[int], rows: Sequence[CurveRow]
) -> str:
    with style():
        figure, axes = _axes("Sensitivity (recall), %", "Predictive value (precision), %")
        for curve, number in zip(curves, series, strict=True):
            colour = SERIES[number % len(SERIES)]
            axes.plot([0, 100], [100 * curve.share] * 2, color=colour, linewidth=1, linestyle=(0, (2, 3)))
            _line(axes, 100 * curve.recall, 100 * curve.precision, number)
        numbers = ", ".join(
            f"{row.view} {percent(row.average_precision)} (chance {percent(row.share)})" for row in rows
        )
        return to_svg(figure, name, f"Precision-recall curves at {site}; dotted: chance. Average precision: {numbers}.")


def _axes(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    figure = new_figure(_WIDTH, _HEIGHT)
    axes = figure.add_axes((0.15, 0.15, 0.82, 0.82))
    for limits in (axes.set_xlim, axes.set_ylim):
        limits(-2, 102)
    axes.set_xticks(range(0, 101, 25))
    axes.set_yticks(range(0, 101, 25))
    axes.grid(True, color=LINE, linewidth=0.8)
    axes.tick_params(length=0, labelsize=11)
    axes.set_xlabel(horizontal, fontsize=11)
    axes.set_ylabel(vertical, fontsize=11)
    return figure, axes


def _line(axes: Axes, x: Floats, y: Floats, number: int) -> None:
    """Draw one curve with a few markers, so that it can be told from others without colour."""
    step = max(1, len(x) // _FEW_MARKERS)
    axes.plot(
        x, y, color=SERIES[number % len(SERIES)], linewidth=1.7, marker=MARKERS[number % len(MARKERS)], markersize=5,
        markevery=(min(number, len(x) - 1), step), clip_on=False,
    )  # fmt: skip
