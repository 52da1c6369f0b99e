"""Figures of the report with one panel or one figure per hospital, for the methods whose details it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from heart2heart.reporting.curves import label_shift_bars, reliability_figure, risk_coverage_figure
from heart2heart.reporting.forest import ForestLine, ForestRow, rows_figure
from heart2heart.reporting.numbers import percent
from heart2heart.reporting.participants import readable
from heart2heart.reporting.svg import LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.schema.metrics import MethodMetrics, Metrics, RunMetrics
from heart2heart.schema.site_metrics import Estimate, SiteMetrics, Stratum, StressCurve

ALTERATIONS = {"sector_masked": "Scan blacked out", "background_swapped": "Background exchanged"}


@dataclass(frozen=True)
class InspectedRun:
    """The first run of a method whose details the report shows."""

    series: int
    method: MethodMetrics
    run: RunMetrics


@dataclass(frozen=True)
class SiteFigure:
    """Figure of one hospital."""

    site: str
    svg: str


Series = list[tuple[int, SiteMetrics]]


def reliability(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw the reliability diagram of every hospital with scored frames."""
    return _each(
        details, metrics, "reliability", reliability_figure, "Reliability diagram of {}: share correct by confidence."
    )


def risk_coverage(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw the risk-coverage curves of every hospital with scored frames on a common scale."""
    runs = [site.selective for detail in details for site in detail.run.sites]
    highest = max((point.risk for selective in runs if selective for point in selective.curve), default=0.0)
    draw = partial(risk_coverage_figure, top=highest)
    return _each(details, metrics, "risk", draw, "Risk-coverage curve of {}.")


def _each(
    details: Sequence[InspectedRun],
    metrics: Metrics,
    kind: str,
    draw: Callable[[str, Series, str], str | None],
    description: str,
) -> list[SiteFigure]:
    drawn = []
    for index, site in enumerate(metrics.sites):
        series = [(detail.series, detail.run.sites[index]) for detail in details]
        svg = draw(f"{kind}-{index}", series, description.format(site.site))
        if svg:
            drawn.append(SiteFigure(site.site, svg))
    return drawn


def votes(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw balanced accuracy by frame, by clip and by study."""

    def rows(index: int) -> list[ForestRow]:
        sites = [detail.run.sites[index] for detail in details]
        return [
            _row("By frame", details, [site.balanced_accuracy for site in sites]),
            _row("By clip", details, [site.clip_balanced_accuracy for site in sites]),
            _row("By study", details, [site.study_balanced_accuracy for site in sites]),
        ]

    return _rows(metrics, rows, "votes", "Balanced accuracy at {} by frame, clip and study.")


def stratum_order(strata: Sequence[Stratum]) -> list[int]:
    """Return the positions of the strata in reading order: by factor, levels from low to high."""
    factors, low = ("maker", "mode", "quality", "sex", "age"), {"lowest third": 0, "middle third": 1, "under 40": 0}
    keys = [(factors.index(one.factor), low.get(one.level, 2), one.level) for one in strata]
    return sorted(range(len(strata)), key=keys.__getitem__)


def strata(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw balanced accuracy by manufacturer, mode, quality, sex and age, for factors with several levels."""

    def rows(index: int) -> list[ForestRow]:
        sites = [detail.run.sites[index] for detail in details]
        forest_rows: list[ForestRow] = []
        factor = ""
        for position in stratum_order(sites[0].strata):
            stratum = sites[0].strata[position]
            if stratum.factor != factor:
                factor = stratum.factor
                forest_rows.append(ForestRow(readable(factor).capitalize()))
            estimates = [site.strata[position].balanced_accuracy for site in sites]
            forest_rows.append(_row(readable(stratum.level), details, estimates))
        return forest_rows

    return _rows(metrics, rows, "strata", "Balanced accuracy at {} by subgroup.")


def open_set(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw how well each score separates frames of scored views from frames of other views, if there are any."""

    def rows(index: int) -> list[ForestRow]:
        sites = [detail.run.sites[index] for detail in details]
        if not sites[0].open_set.outside:
            return []
        names = list(sites[0].open_set.scores)
        return [
            _row(readable(name).capitalize(), details, [site.open_set.scores[name].auroc for site in sites])
            for name in names
        ]

    return _rows(metrics, rows, "open", "AUROC of frames of scored and of other views at {}.", axis="AUROC", chance=0.5)


def probes(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw balanced accuracy on original and on altered frames."""

    def rows(index: int) -> list[ForestRow]:
        sites = [detail.run.sites[index] for detail in details]
        if not sites[0].probes:
            return []
        forest_rows = [_row("As recorded", details, [site.balanced_accuracy for site in sites])]
        for position, probe in enumerate(sites[0].probes):
            altered = [site.probes[position].balanced_accuracy for site in sites]
            forest_rows.append(_row(ALTERATIONS[probe.alteration], details, altered))
        return forest_rows

    return _rows(
        metrics, rows, "probes", "Balanced accuracy at {} on altered frames; dashed: chance.", present_views=True
    )


def _row(label: str, details: Sequence[InspectedRun], estimates: Sequence[Estimate]) -> ForestRow:
    return ForestRow(
        label, tuple(ForestLine(estimate, detail.series) for estimate, detail in zip(estimates, details, strict=True))
    )


def _rows(
    metrics: Metrics,
    rows: Callable[[int], list[ForestRow]],
    kind: str,
    description: str,
    *,
    axis: str = "Balanced accuracy",
    chance: float | None = None,
    present_views: bool = False,
) -> list[SiteFigure]:
    drawn = []
    for index, site in enumerate(metrics.sites):
        site_rows = rows(index) if site.frames else []
        if site_rows:
            reference = 1 / len(site.views) if present_views else chance
            spoken = description.format(site.site)
            drawn.append(
                SiteFigure(site.site, rows_figure(site_rows, f"{kind}-{index}", spoken, axis=axis, reference=reference))
            )
    return drawn


def label_shift(inspected: InspectedRun, metrics: Metrics) -> list[SiteFigure]:
    """Draw the shares of the views at the source, at each hospital, and as estimated without labels."""
    return [
        SiteFigure(
            site.site, label_shift_bars(f"shares-{index}", site.label_shift, inspected.series, f"Views at {site.site}.")
        )
        for index, site in enumerate(inspected.run.sites)
        if site.label_shift
    ]


_STRESS_COLUMNS = 4
_WIDTH, _PANEL_HEIGHT = 760, 130


def stress_figures(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw one figure a hospital: a panel for each kind of perturbation, with a line for each method.

    A line shows balanced accuracy over the level of the perturbation; its first point is that of the unperturbed
    frames. Hospitals without perturbed frames have no figure.
    """
    figures = []
    for index, site in enumerate(metrics.sites):
        curves = {detail.series: _curves_with_points(detail.run.sites[index].stress) for detail in details}
        if any(curves.values()):
            figures.append(SiteFigure(site.site, _stress_figure(f"stress-{index}", site.site, curves)))
    return figures


def _curves_with_points(stress: Sequence[StressCurve]) -> list[StressCurve]:
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


def _stress_figure(name: str, site: str, curves: dict[int, list[StressCurve]]) -> str:
    kinds = [curve.perturbation for curve in next(each for each in curves.values() if each)]
    rows = math.ceil(len(kinds) / _STRESS_COLUMNS)
    height = rows * _PANEL_HEIGHT + 34
    spoken = []
    with style():
        figure = new_figure(_WIDTH, height)
        for position, kind in enumerate(kinds):
            row, column = divmod(position, _STRESS_COLUMNS)
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
