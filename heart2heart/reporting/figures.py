"""The figures that are drawn once a hospital, for the methods that are looked at closely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from heart2heart.reporting.curves import label_shift_bars, reliability_figure, risk_coverage_figure
from heart2heart.reporting.forest import ForestLine, ForestRow, rows_figure
from heart2heart.reporting.participants import readable
from heart2heart.schema.metrics import MethodMetrics, Metrics, RunMetrics
from heart2heart.schema.site_metrics import Estimate, SiteMetrics, Stratum

ALTERATIONS = {"sector_masked": "Scan blacked out", "background_swapped": "Surroundings swapped"}


@dataclass(frozen=True)
class InspectedRun:
    """The run of a method that is looked at closely: its first."""

    series: int
    method: MethodMetrics
    run: RunMetrics


@dataclass(frozen=True)
class SiteFigure:
    """One hospital's figure."""

    site: str
    svg: str


Series = list[tuple[int, SiteMetrics]]


def reliability(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw the reliability diagram of every hospital with scored frames."""
    return _each(details, metrics, "reliability", reliability_figure, "Reliability diagram of {}: right by confidence.")


def risk_coverage(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw the risk-coverage curves of every hospital with scored frames, on one scale."""
    runs = [site.selective for detail in details for site in detail.run.sites]
    highest = max((point.risk for found in runs if found for point in found.curve), default=0.0)
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
    for place, site in enumerate(metrics.sites):
        series = [(detail.series, detail.run.sites[place]) for detail in details]
        svg = draw(f"{kind}-{place}", series, description.format(site.site))
        if svg:
            drawn.append(SiteFigure(site.site, svg))
    return drawn


def votes(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw balanced accuracy by frame, by clip and by study."""

    def rows(place: int) -> list[ForestRow]:
        sites = [detail.run.sites[place] for detail in details]
        return [
            _row("By frame", details, [site.balanced_accuracy for site in sites]),
            _row("By clip", details, [site.clip_balanced_accuracy for site in sites]),
            _row("By study", details, [site.study_balanced_accuracy for site in sites]),
        ]

    return _rows(metrics, rows, "votes", "Balanced accuracy at {} by frame, clip and study.")


def stratum_order(strata: Sequence[Stratum]) -> list[int]:
    """Return the places of the strata as a reader expects them: factor by factor, levels from low to high."""
    factors, low = ("maker", "mode", "quality", "sex", "age"), {"lowest third": 0, "middle third": 1, "under 40": 0}
    keys = [(factors.index(one.factor), low.get(one.level, 2), one.level) for one in strata]
    return sorted(range(len(strata)), key=keys.__getitem__)


def strata(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw balanced accuracy by maker, mode, quality, sex and age, where more than one level occurs."""

    def rows(place: int) -> list[ForestRow]:
        sites = [detail.run.sites[place] for detail in details]
        found: list[ForestRow] = []
        factor = ""
        for number in stratum_order(sites[0].strata):
            stratum = sites[0].strata[number]
            if stratum.factor != factor:
                factor = stratum.factor
                found.append(ForestRow(factor.capitalize()))
            same = [site.strata[number].balanced_accuracy for site in sites]
            found.append(_row(readable(stratum.level), details, same))
        return found

    return _rows(metrics, rows, "strata", "Balanced accuracy at {} by subgroup.")


def open_set(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw how well each score tells frames of scored views from the others, where there are others."""

    def rows(place: int) -> list[ForestRow]:
        sites = [detail.run.sites[place] for detail in details]
        if not sites[0].open_set.outside:
            return []
        names = list(sites[0].open_set.scores)
        return [
            _row(readable(name).capitalize(), details, [site.open_set.scores[name].auroc for site in sites])
            for name in names
        ]

    return _rows(metrics, rows, "open", "AUROC of frames in and outside the taxonomy at {}.", axis="AUROC", chance=0.5)


def probes(details: Sequence[InspectedRun], metrics: Metrics) -> list[SiteFigure]:
    """Draw balanced accuracy on frames as they are and as altered for the shortcut probes."""

    def rows(place: int) -> list[ForestRow]:
        sites = [detail.run.sites[place] for detail in details]
        if not sites[0].probes:
            return []
        found = [_row("As recorded", details, [site.balanced_accuracy for site in sites])]
        for number, probe in enumerate(sites[0].probes):
            altered = [site.probes[number].balanced_accuracy for site in sites]
            found.append(_row(ALTERATIONS[probe.alteration], details, altered))
        return found

    return _rows(metrics, rows, "probes", "Balanced accuracy at {} on altered frames; dashed: guessing.", guessing=True)


def _row(label: str, details: Sequence[InspectedRun], found: Sequence[Estimate]) -> ForestRow:
    return ForestRow(label, tuple(ForestLine(one, detail.series) for one, detail in zip(found, details, strict=True)))


def _rows(
    metrics: Metrics,
    rows: Callable[[int], list[ForestRow]],
    kind: str,
    description: str,
    *,
    axis: str = "Balanced accuracy",
    chance: float | None = None,
    guessing: bool = False,
) -> list[SiteFigure]:
    drawn = []
    for place, site in enumerate(metrics.sites):
        found = rows(place) if site.frames else []
        if found:
            dashed = 1 / len(site.views) if guessing else chance
            said = description.format(site.site)
            drawn.append(
                SiteFigure(site.site, rows_figure(found, f"{kind}-{place}", said, axis=axis, reference=dashed))
            )
    return drawn


def label_shift(inspected: InspectedRun, metrics: Metrics) -> list[SiteFigure]:
    """Draw how common the views are at the source, at each hospital, and as estimated there."""
    return [
        SiteFigure(
            site.site, label_shift_bars(f"shares-{place}", site.label_shift, inspected.series, f"Views at {site.site}.")
        )
        for place, site in enumerate(inspected.run.sites)
        if site.label_shift
    ]
