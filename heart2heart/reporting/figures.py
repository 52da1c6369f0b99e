"""Figures with one panel per hospital, for the methods whose details the report shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from heart2heart.reporting.curves import label_shift_bars, reliability_figure, risk_coverage_figure
from heart2heart.reporting.forest import ForestLine, ForestRow, rows_figure
from heart2heart.reporting.participants import readable
from heart2heart.schema.metrics import MethodMetrics, Metrics, RunMetrics
from heart2heart.schema.site_metrics import Estimate, SiteMetrics, Stratum

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
