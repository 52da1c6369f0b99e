"""Gathers everything that the templates of the report show; no number is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.evaluate.schema import Comparison, MethodMetrics, Metrics, RunMetrics
from heart2heart.predictions import Predictions
from heart2heart.report.curves import learning_figures, reliability_figure
from heart2heart.report.flow import inclusion
from heart2heart.report.forest import NARROW, WIDE, Block, accuracy_blocks, difference_blocks, forest
from heart2heart.report.gallery import RULE, choose_tiles
from heart2heart.report.limits import limitations
from heart2heart.report.numbers import interval, percent
from heart2heart.report.svg import MARKER_SIGNS, SERIES
from heart2heart.report.words import (
    Verdict,
    carry_over,
    caution,
    compare_headline,
    describe_difference,
    describe_failures,
    describe_gap,
    difference_verdict,
    headline,
)


@dataclass(frozen=True)
class Card:
    """One held-out hospital on the first screen: a verdict and the sentences under it."""

    site: str
    verdict: Verdict
    accuracy: str
    interval: str
    patients: int
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Detail:
    """The run of a method that is looked at closely: its first."""

    series: int
    method: MethodMetrics
    run: RunMetrics


def gather(predictions: Predictions, metrics: Metrics) -> dict[str, Any]:
    """Return what the templates need, by name."""
    about = predictions.provenance
    tested = metrics.methods[-1]
    final = metrics.comparisons[-1] if metrics.comparisons else None
    by_name = {run.run: run for run in metrics.runs}
    shown = sorted({0, len(metrics.methods) - 1})
    details = [Detail(place, metrics.methods[place], by_name[metrics.methods[place].runs[0]]) for place in shown]
    lead = headline(tested, metrics)
    if final:
        lead.append(compare_headline(final))
    chance = 1 / len(metrics.classes)
    described = f"Forest plot of balanced accuracy by hospital. {_say(accuracy_blocks(metrics))}"
    return {
        "about": about,
        "metrics": metrics,
        "tested": tested,
        "details": details,
        "inspected": details[-1],
        "lead": lead,
        "cards": _cards(tested, final, details[-1], metrics),
        "signs": [MARKER_SIGNS[place % len(MARKER_SIGNS)] for place in range(len(metrics.methods))],
        "series": [place % len(SERIES) + 1 for place in range(len(metrics.methods))],
        "chance": chance,
        "forest_wide": forest(accuracy_blocks(metrics), "forest-wide", described, width=WIDE, reference=chance),
        "forest_narrow": forest(accuracy_blocks(metrics), "forest-narrow", described, width=NARROW, reference=chance),
        "comparisons": [
            _comparison(number, comparison, metrics) for number, comparison in enumerate(metrics.comparisons)
        ],
        "flows": [(info, inclusion(info, site)) for info, site in zip(about.sites, metrics.sites, strict=True)],
        "reliability": _reliability(details, metrics),
        "curves": learning_figures(about.runs, metrics),
        "gallery": choose_tiles(predictions, details[-1].run.run),
        "gallery_rule": RULE,
        "limitations": limitations(metrics, about),
        "synthetic_sites": [site.site for site in metrics.sites if site.synthetic],
    }


def _cards(tested: MethodMetrics, final: Comparison | None, detail: Detail, metrics: Metrics) -> list[Card]:
    gaps = {gap.site: gap for gap in tested.generalisation.gaps}
    cards = []
    for place, site in enumerate(metrics.sites):
        if site.site not in gaps:
            continue
        found, gap = tested.sites[place].balanced_accuracy, gaps[site.site].gap
        sentences = [_over_views(describe_gap(gap), gaps[site.site].views, metrics)]
        if final:
            row = final.sites[place]
            said = describe_difference(row.difference, row.p_holm, sum(other.p is not None for other in final.sites))
            sentences.append(f"Against “{final.reference}”: {said}")
        sentences.append(describe_failures(detail.run.sites[place], metrics.classes))
        sentences += [text for text in [caution(found, metrics)] if text]
        cards.append(
            Card(site.site, carry_over(gap), percent(found.value), interval(found), site.clusters, tuple(sentences))
        )
    return cards


def _over_views(sentence: str, views: tuple[str, ...], metrics: Metrics) -> str:
    return sentence if len(views) == len(metrics.classes) else f"{sentence} Taken over {' and '.join(views)} only."


def _comparison(number: int, comparison: Comparison, metrics: Metrics) -> dict[str, Any]:
    blocks = difference_blocks(comparison, metrics)
    described = f"Forest plot of the difference by hospital. {_say(blocks)}"
    hospitals = sum(row.p is not None for row in comparison.sites)
    return {
        "comparison": comparison,
        "headline": compare_headline(comparison),
        "wide": forest(blocks, f"diff-{number}-wide", described, width=WIDE, reference=0, difference=True),
        "narrow": forest(blocks, f"diff-{number}-narrow", described, width=NARROW, reference=0, difference=True),
        "rows": [
            (row, difference_verdict(row.difference), describe_difference(row.difference, row.p_holm, hospitals))
            for row in comparison.sites
        ],
    }


def _reliability(details: list[Detail], metrics: Metrics) -> list[tuple[str, str]]:
    figures = []
    for place, site in enumerate(metrics.sites):
        series = [(detail.series, detail.run.sites[place]) for detail in details]
        described = f"Reliability diagram of {site.site}: share of right frames by confidence."
        figure = reliability_figure(f"reliability-{place}", series, described)
        if figure:
            figures.append((site.site, figure))
    return figures


def _say(blocks: list[Block]) -> str:
    parts = []
    for block in blocks:
        found = ", ".join(f"{percent(line.estimate.value)} ({interval(line.estimate)})" for line in block.lines)
        parts.append(f"{block.title}: {found}.")
    return " ".join(parts)
