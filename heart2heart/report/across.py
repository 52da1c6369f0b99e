"""Several splits and seeds taken together: what `folds.json` holds, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heart2heart.evaluate import FoldMetrics
from heart2heart.evaluate.fold_schema import FoldComparison
from heart2heart.report.cards import say_blocks
from heart2heart.report.forest import NARROW, WIDE, Block, Line, forest
from heart2heart.report.numbers import plural
from heart2heart.report.svg import MARKER_SIGNS, SERIES


@dataclass(frozen=True)
class Forest:
    """One plot in its two widths."""

    wide: str
    narrow: str


def across(folds: FoldMetrics) -> dict[str, Any]:
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


def _accuracy(folds: FoldMetrics) -> list[Block]:
    blocks = []
    for place, site in enumerate(folds.methods[0].sites):
        lines = tuple(
            Line(method.sites[place].balanced_accuracy, series) for series, method in enumerate(folds.methods)
        )
        role = "held out" if site.held_out else "source"
        blocks.append(Block(site.site, f"{role}, {plural(site.balanced_accuracy.clusters, folds.unit)}", lines))
    mean = tuple(Line(method.held_out, series) for series, method in enumerate(folds.methods))
    return [*blocks, Block("Mean", "over held-out hospitals", mean)]


def _difference(comparison: FoldComparison, folds: FoldMetrics) -> list[Block]:
    series = [method.method for method in folds.methods].index(comparison.candidate)
    blocks = [
        Block(
            row.site,
            f"{'held out' if row.held_out else 'source'}, {plural(row.difference.clusters, folds.unit)}",
            (Line(row.difference, series),),
        )
        for row in comparison.sites
    ]
    return [*blocks, Block("Mean", "over held-out hospitals", (Line(comparison.held_out, series),))]


def _plot(blocks: list[Block], name: str, said: str, reference: float, *, sign: bool = False) -> Forest:
    described = f"Forest plot. {said} {say_blocks(blocks)}"
    drawn = {
        size: forest(blocks, f"{name}-{size}", described, width=width, reference=reference, difference=sign)
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return Forest(**drawn)
