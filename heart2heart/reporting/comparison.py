"""The second report: several methods across hospitals, over folds, as one HTML file made from `folds.json` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heart2heart.reporting import comparison_sentences as words
from heart2heart.reporting.comparison_forest import NARROW, WIDE, ComparisonBlock, difference_blocks, draw, score_blocks
from heart2heart.reporting.writer import render
from heart2heart.schema.fold_metrics import FoldMetrics
from heart2heart.utils import write_text


def write_comparison(metrics: FoldMetrics, out: Path) -> Path:
    """Write the comparison of methods; the same metrics give the same bytes.

    Args:
        metrics: `evaluate_folds(...)`, or what `read_folds` read.
        out: Where the HTML goes, e.g. `comparison.html`.

    Returns:
        `out`.
    """
    write_text(out, render("comparison.html.j2", comparison_content(metrics), escape=True))
    return out


def comparison_content(metrics: FoldMetrics) -> dict[str, Any]:
    """Return what the template needs, by name."""
    chance = 1 / len(metrics.classes)
    scores = score_blocks(metrics)
    pairs = words.with_additions(metrics)
    gains = difference_blocks(metrics, pairs)
    return {
        "metrics": metrics,
        "lead": words.summarise(metrics),
        "findings": words.findings(metrics),
        "hospitals": [(site.site, site.held_out, site.balanced_accuracy.clusters) for site in metrics.methods[0].sites],
        "highest": words.highest(metrics),
        "mean_shown": any(method.held_out.value is not None for method in metrics.methods),
        "chance": chance,
        "synthetic_text": words.SYNTHETIC,
        "verdict": words.judge_corrected,
        "scores": _figures(
            scores, "scores", f"Balanced accuracy by hospital and method. {_describe_rows(scores)}", 100 * chance
        ),
        "gains": _figures(gains, "gains", f"What is gained, by hospital. {_describe_rows(gains)}", None)
        if pairs
        else None,
        "pairs": [(each, words.describe(each)) for each in pairs],
        "others": [(each, words.describe(each)) for each in metrics.comparisons if each not in pairs],
        "folds": len(metrics.splits),
        "limits": words.limits_of_comparison(metrics),
    }


def _figures(blocks: list[ComparisonBlock], name: str, described: str, chance: float | None) -> tuple[str, str]:
    return (
        draw(blocks, f"{name}-wide", described, width=WIDE, chance=chance),
        draw(blocks, f"{name}-narrow", described, width=NARROW, chance=chance),
    )


def _describe_rows(blocks: list[ComparisonBlock]) -> str:
    return " ".join(f"{block.title}: " + ", ".join(row.spoken for row in block.rows) + "." for block in blocks)
