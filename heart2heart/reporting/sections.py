"""Contents of three parts of the report: the card of each hospital, the comparison of two methods, several splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.reporting.forest import NARROW, WIDE, ForestBlock, ForestLine, difference_blocks, forest
from heart2heart.reporting.numbers import interval, percent, plural
from heart2heart.reporting.sentences import (
    NOT_ABOVE_CHANCE,
    at_chance,
    caution,
    compare_headline,
    count_tests,
    describe_difference,
    describe_failures,
    describe_gap,
)
from heart2heart.reporting.svg import MARKER_SIGNS, SERIES
from heart2heart.reporting.verdicts import (
    Verdict,
    describe_difference_by_margin,
    describe_margin,
    judge_by_margin,
    judge_difference,
    judge_transfer,
)
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, RunMetrics, SiteDifference
from heart2heart.schema.metrics_files import FoldComparison, FoldMetrics


@dataclass(frozen=True)
class SiteCard:
    """One held-out hospital in the summary."""

    site: str
    verdict: Verdict
    accuracy: str
    interval: str
    patients: int
    sentences: tuple[str, ...]


def site_cards(method: MethodMetrics, final: Comparison | None, run: RunMetrics, metrics: Metrics) -> list[SiteCard]:
    """Return a card for every held-out hospital with scored frames."""
    gaps = {gap.site: gap for gap in method.generalisation.gaps}
    chance_by_site = at_chance(method, metrics)
    cards = []
    for index, site in enumerate(metrics.sites):
        if site.site not in gaps:
            continue
        value, gap = method.sites[index].balanced_accuracy, gaps[site.site]
        sentences = [_over_views(describe_gap(gap, count_tests(metrics)), gap.views, metrics)]
        if metrics.margin:
            sentences.append(describe_margin(gap, metrics.margin))
        if final:
            description = _describe_difference(final.sites[index], metrics)
            sentences.append(f"Compared with “{final.reference}”: {description}")
        sentences.append(describe_failures(run.sites[index], metrics.classes))
        sentences += [text for text in [caution(value, metrics)] if text]
        verdict = judge_by_margin(gap, metrics.margin) if metrics.margin else judge_transfer(gap)
        if site.site in chance_by_site:
            verdict = NOT_ABOVE_CHANCE
            sentences.insert(
                0, f"Predicting the same view for every frame would reach {percent(chance_by_site[site.site])}."
            )
        cards.append(
            SiteCard(site.site, verdict, percent(value.value), interval(value), site.clusters, tuple(sentences))
        )
    return cards


def _describe_difference(row: SiteDifference, metrics: Metrics) -> str:
    """Describe a difference, and by the registered margin if there is one."""
    text = describe_difference(row, count_tests(metrics))
    return f"{text} {describe_difference_by_margin(row, metrics.margin)}" if metrics.margin else text


def _over_views(sentence: str, views: tuple[str, ...], metrics: Metrics) -> str:
    return sentence if len(views) == len(metrics.classes) else f"{sentence} Computed over {' and '.join(views)} only."


def comparison_section(index: int, comparison: Comparison, metrics: Metrics) -> dict[str, Any]:
    """Return the content of the section on one comparison, by name."""
    blocks = difference_blocks(comparison, metrics)
    description = f"Forest plot of the difference by hospital. {describe_blocks(blocks)}"
    return {
        "comparison": comparison,
        "headline": compare_headline(comparison),
        "wide": forest(blocks, f"diff-{index}-wide", description, width=WIDE, reference=0, difference=True),
        "narrow": forest(blocks, f"diff-{index}-narrow", description, width=NARROW, reference=0, difference=True),
        "rows": [(row, judge_difference(row), _describe_difference(row, metrics)) for row in comparison.sites],
    }


def describe_blocks(blocks: list[ForestBlock]) -> str:
    """Describe the numbers of a forest plot for screen readers."""
    texts = []
    for block in blocks:
        numbers = ", ".join(f"{percent(line.estimate.value)} ({interval(line.estimate)})" for line in block.lines)
        texts.append(f"{block.title}: {numbers}.")
    return " ".join(texts)


@dataclass(frozen=True)
class ForestPair:
    """One plot in two widths."""

    wide: str
    narrow: str


def cross_split_section(folds: FoldMetrics) -> dict[str, Any]:
    """Return the content of the section on several splits, by name."""
    methods = [method.method for method in folds.methods]
    return {
        "folds": folds,
        "signs": [MARKER_SIGNS[index % len(MARKER_SIGNS)] for index in range(len(methods))],
        "series": [index % len(SERIES) + 1 for index in range(len(methods))],
        "plot": _plot(_accuracy(folds), "folds", "Balanced accuracy over all splits.", 1 / len(folds.classes)),
        "comparisons": [
            (
                comparison,
                _plot(
                    _difference(comparison, folds), f"folds-diff-{index}", "Difference over all splits.", 0, sign=True
                ),
            )
            for index, comparison in enumerate(folds.comparisons)
        ],
    }


def _accuracy(folds: FoldMetrics) -> list[ForestBlock]:
    blocks = []
    for index, site in enumerate(folds.methods[0].sites):
        lines = tuple(
            ForestLine(method.sites[index].balanced_accuracy, series) for series, method in enumerate(folds.methods)
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


def _plot(blocks: list[ForestBlock], name: str, subject: str, reference: float, *, sign: bool = False) -> ForestPair:
    description = f"Forest plot. {subject} {describe_blocks(blocks)}"
    figures = {
        size: forest(blocks, f"{name}-{size}", description, width=width, reference=reference, difference=sign)
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return ForestPair(**figures)
