"""Contents of three parts of the report: the card of each hospital, the comparison of two methods, several splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.reporting.forest import NARROW, WIDE, ForestBlock, ForestLine, difference_blocks, forest
from heart2heart.reporting.numbers import interval, percent, plural
from heart2heart.reporting.sentences import (
    NOT_ABOVE_CHANCE,
    Verdict,
    at_chance,
    caution,
    compare_headline,
    describe_difference,
    describe_failures,
    describe_gap,
    judge_difference,
    judge_transfer,
)
from heart2heart.reporting.svg import MARKER_SIGNS, SERIES
from heart2heart.schema.fold_metrics import FoldComparison, FoldMetrics
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, RunMetrics


@dataclass(frozen=True)
class SiteCard:
    """One held-out hospital on the first screen."""

    site: str
    verdict: Verdict
    accuracy: str
    interval: str
    patients: int
    sentences: tuple[str, ...]


def site_cards(tested: MethodMetrics, final: Comparison | None, run: RunMetrics, metrics: Metrics) -> list[SiteCard]:
    """Make a card of every held-out hospital that has scored frames."""
    gaps = {gap.site: gap for gap in tested.generalisation.gaps}
    weak = at_chance(tested, metrics)
    found = []
    for place, site in enumerate(metrics.sites):
        if site.site not in gaps:
            continue
        value, gap = tested.sites[place].balanced_accuracy, gaps[site.site].gap
        sentences = [_over_views(describe_gap(gap), gaps[site.site].views, metrics)]
        if final:
            row = final.sites[place]
            said = describe_difference(row.difference, row.p_holm, sum(other.p is not None for other in final.sites))
            sentences.append(f"Against “{final.reference}”: {said}")
        sentences.append(describe_failures(run.sites[place], metrics.classes))
        sentences += [text for text in [caution(value, metrics)] if text]
        verdict = judge_transfer(gap)
        if site.site in weak:
            verdict = NOT_ABOVE_CHANCE
            sentences.insert(0, f"Calling every frame one view would reach {percent(weak[site.site])}.")
        found.append(
            SiteCard(site.site, verdict, percent(value.value), interval(value), site.clusters, tuple(sentences))
        )
    return found


def _over_views(sentence: str, views: tuple[str, ...], metrics: Metrics) -> str:
    return sentence if len(views) == len(metrics.classes) else f"{sentence} Taken over {' and '.join(views)} only."


def comparison_section(number: int, comparison: Comparison, metrics: Metrics) -> dict[str, Any]:
    """Return what the section on one comparison shows, by name."""
    blocks = difference_blocks(comparison, metrics)
    described = f"Forest plot of the difference by hospital. {describe_blocks(blocks)}"
    hospitals = sum(row.p is not None for row in comparison.sites)
    return {
        "comparison": comparison,
        "headline": compare_headline(comparison),
        "wide": forest(blocks, f"diff-{number}-wide", described, width=WIDE, reference=0, difference=True),
        "narrow": forest(blocks, f"diff-{number}-narrow", described, width=NARROW, reference=0, difference=True),
        "rows": [
            (row, judge_difference(row.difference), describe_difference(row.difference, row.p_holm, hospitals))
            for row in comparison.sites
        ],
    }


def describe_blocks(blocks: list[ForestBlock]) -> str:
    """Say the numbers of a forest plot, for screen readers."""
    parts = []
    for block in blocks:
        found = ", ".join(f"{percent(line.estimate.value)} ({interval(line.estimate)})" for line in block.lines)
        parts.append(f"{block.title}: {found}.")
    return " ".join(parts)


@dataclass(frozen=True)
class ForestPair:
    """One plot in its two widths."""

    wide: str
    narrow: str


def cross_split_section(folds: FoldMetrics) -> dict[str, Any]:
    """Return what the section on several splits shows, by name."""
    methods = [method.method for method in folds.methods]
    return {
        "folds": folds,
        "signs": [MARKER_SIGNS[place % len(MARKER_SIGNS)] for place in range(len(methods))],
        "series": [place % len(SERIES) + 1 for place in range(len(methods))],
        "plot": _plot(_accuracy(folds), "folds", "Balanced accuracy over all splits.", 1 / len(folds.classes)),
        "comparisons": [
            (one, _plot(_difference(one, folds), f"folds-diff-{number}", "Difference over all splits.", 0, sign=True))
            for number, one in enumerate(folds.comparisons)
        ],
    }


def _accuracy(folds: FoldMetrics) -> list[ForestBlock]:
    blocks = []
    for place, site in enumerate(folds.methods[0].sites):
        lines = tuple(
            ForestLine(method.sites[place].balanced_accuracy, series) for series, method in enumerate(folds.methods)
        )
        role = "held out" if site.held_out else "source"
        blocks.append(ForestBlock(site.site, f"{role}, {plural(site.balanced_accuracy.clusters, folds.unit)}", lines))
    mean = tuple(ForestLine(method.held_out, series) for series, method in enumerate(folds.methods))
    return [*blocks, ForestBlock("Mean", "over held-out hospitals", mean)]


def _difference(comparison: FoldComparison, folds: FoldMetrics) -> list[ForestBlock]:
    series = [method.method for method in folds.methods].index(comparison.candidate)
    blocks = [
        ForestBlock(
            row.site,
            f"{'held out' if row.held_out else 'source'}, {plural(row.difference.clusters, folds.unit)}",
            (ForestLine(row.difference, series),),
        )
        for row in comparison.sites
    ]
    return [*blocks, ForestBlock("Mean", "over held-out hospitals", (ForestLine(comparison.held_out, series),))]


def _plot(blocks: list[ForestBlock], name: str, said: str, reference: float, *, sign: bool = False) -> ForestPair:
    described = f"Forest plot. {said} {describe_blocks(blocks)}"
    drawn = {
        size: forest(blocks, f"{name}-{size}", described, width=width, reference=reference, difference=sign)
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return ForestPair(**drawn)
