"""The second report: several methods across hospitals, over folds, as one HTML file made from `folds.json` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heart2heart.evaluate import FoldMetrics
from heart2heart.files import write_text
from heart2heart.report import comparison_words as words
from heart2heart.report.comparison_forest import NARROW, WIDE, Block, difference_blocks, draw, score_blocks
from heart2heart.report.writer import render


def write_comparison(metrics: FoldMetrics, out: Path) -> Path:
    """Write the comparison of methods; the same metrics give the same bytes.

    Args:
        metrics: `evaluate_folds(...)`, or what `read_folds` read.
        out: Where the HTML goes, e.g. `comparison.html`.

    Returns:
        `out`.
    """
    write_text(out, render("comparison.html.j2", gather(metrics), escape=True))
    return out


def gather(metrics: FoldMetrics) -> dict[str, Any]:
    """Return what the template needs, by name."""
    chance = 1 / len(metrics.classes)
    scores = score_blocks(metrics)
    pairs = words.around(metrics)
    gains = difference_blocks(metrics, pairs)
    return {
        "metrics": metrics,
        "lead": words.answer(metrics),
        "findings": words.findings(metrics),
        "hospitals": [(site.site, site.held_out, site.balanced_accuracy.clusters) for site in metrics.methods[0].sites],
        "highest": words.highest(metrics),
        "mean_shown": any(method.held_out.value is not None for method in metrics.methods),
        "chance": chance,
        "synthetic_text": words.SYNTHETIC,
        "verdict": words.verdict,
        "scores": _figures(scores, "scores", f"Balanced accuracy by hospital and method. {_say(scores)}", 100 * chance),
        "gains": _figures(gains, "gains", f"What is gained, by hospital. {_say(gains)}", None) if pairs else None,
        "pairs": [(each, words.describe(each)) for each in pairs],
        "others": [(each, words.describe(each)) for each in metrics.comparisons if each not in pairs],
        "folds": len(metrics.splits),
        "limits": words.limits(metrics),
    }


def _figures(blocks: list[Block], name: str, described: str, chance: float | None) -> tuple[str, str]:
    return (
        draw(blocks, f"{name}-wide", described, width=WIDE, chance=chance),
        draw(blocks, f"{name}-narrow", described, width=NARROW, chance=chance),
    )


def _say(blocks: list[Block]) -> str:
    return " ".join(f"{block.title}: " + ", ".join(row.spoken for row in block.rows) + "." for block in blocks)
