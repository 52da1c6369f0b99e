"""What the first screen and the comparison say of each hospital: a verdict and the sentences under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.evaluate.schema import Comparison, MethodMetrics, Metrics, RunMetrics
from heart2heart.report.forest import NARROW, WIDE, Block, difference_blocks, forest
from heart2heart.report.guessing import GUESSING, at_chance
from heart2heart.report.numbers import interval, percent
from heart2heart.report.words import (
    Verdict,
    carry_over,
    caution,
    compare_headline,
    describe_difference,
    describe_failures,
    describe_gap,
    difference_verdict,
)


@dataclass(frozen=True)
class Card:
    """One held-out hospital on the first screen."""

    site: str
    verdict: Verdict
    accuracy: str
    interval: str
    patients: int
    sentences: tuple[str, ...]


def cards(tested: MethodMetrics, final: Comparison | None, run: RunMetrics, metrics: Metrics) -> list[Card]:
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
        verdict = carry_over(gap)
        if site.site in weak:
            verdict = GUESSING
            sentences.insert(0, f"Calling every frame one view would reach {percent(weak[site.site])}.")
        found.append(Card(site.site, verdict, percent(value.value), interval(value), site.clusters, tuple(sentences)))
    return found


def _over_views(sentence: str, views: tuple[str, ...], metrics: Metrics) -> str:
    return sentence if len(views) == len(metrics.classes) else f"{sentence} Taken over {' and '.join(views)} only."


def compared(number: int, comparison: Comparison, metrics: Metrics) -> dict[str, Any]:
    """Return what the section on one comparison shows, by name."""
    blocks = difference_blocks(comparison, metrics)
    described = f"Forest plot of the difference by hospital. {say_blocks(blocks)}"
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


def say_blocks(blocks: list[Block]) -> str:
    """Say the numbers of a forest plot, for screen readers."""
    parts = []
    for block in blocks:
        found = ", ".join(f"{percent(line.estimate.value)} ({interval(line.estimate)})" for line in block.lines)
        parts.append(f"{block.title}: {found}.")
    return " ".join(parts)
