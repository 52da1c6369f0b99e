"""Several splits and seeds taken together: what `folds.json` holds, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.reporting.cards import describe_blocks
from heart2heart.reporting.forest import NARROW, WIDE, ForestBlock, ForestLine, forest
from heart2heart.reporting.numbers import plural
from heart2heart.reporting.svg import MARKER_SIGNS, SERIES
from heart2heart.schema.fold_metrics import FoldComparison, FoldMetrics


@dataclass(frozen=True)
class ForestPair:
    """One plot in its two widths."""

    wide: str
    narrow: str


def cross_split(folds: FoldMetrics) -> dict[str, Any]:
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
