"""The comparison report: one HTML page about several methods over several splits, made from `folds.json` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.evaluation.task_words import TaskWords
from heart2heart.reporting import comparison_sentences
from heart2heart.reporting.forest import NARROW, WIDE
from heart2heart.reporting.numbers import interval, plural, points, signed
from heart2heart.reporting.reasons import fold_reasons
from heart2heart.reporting.sentences import count_tests
from heart2heart.reporting.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.reporting.task_template import adapt_content
from heart2heart.reporting.verdicts import describe_difference_by_margin, judge_difference
from heart2heart.reporting.writer import render
from heart2heart.schema.metrics_files import FoldComparison, FoldMetrics
from heart2heart.schema.site_metrics import Estimate
from heart2heart.utils import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE, PLAIN, WITH_ADDITION = 5, 0, 1  # series: the reference, other methods, methods that extend another
_HEAD, _TOP, _BOTTOM = 34.0, 6.0, 38.0  # pixels


@dataclass(frozen=True)
class ComparisonRow:
    """One estimate with its label, and optionally its value in each fold."""

    label: str
    estimate: Estimate
    series: int
    folds: tuple[float, ...] = ()
    signs: bool = False

    @property
    def spoken(self) -> str:
        """Text for screen readers."""
        return f"{self.label} {self.text}"

    @property
    def text(self) -> str:
        """Numbers at the right of the row."""
        estimate = self.estimate
        if estimate.value is None:
            return "not estimable"
        value = signed(estimate.value) if self.signs else points(estimate.value)
        return (
            f"{value} ({interval(estimate, sign=self.signs)})" if estimate.low is not None else f"{value} (no interval)"
        )


@dataclass(frozen=True)
class ComparisonBlock:
    """One hospital, or the mean over the held-out hospitals."""

    title: str
    note: str
    rows: tuple[ComparisonRow, ...]


def series_of(metrics: FoldMetrics, method: str) -> int:
    """Return the series of a method: the reference, a method that extends another, or any other method."""
    if method == metrics.methods[0].method:
        return REFERENCE
    return WITH_ADDITION if any(each.extends for each in metrics.methods if each.method == method) else PLAIN


def fold_score_blocks(metrics: FoldMetrics) -> list[ComparisonBlock]:
    """Return balanced accuracy by hospital, then over the held-out hospitals."""
    blocks = []
    for index, site in enumerate(metrics.methods[0].sites):
        rows = tuple(
            ComparisonRow(
                method.method,
                method.sites[index].balanced_accuracy,
                series_of(metrics, method.method),
                tuple(method.sites[index].by_fold.values()) if len(metrics.splits) > 1 else (),
            )
            for method in metrics.methods
        )
        role = "held out" if site.held_out else "source"
        blocks.append(
            ComparisonBlock(site.site, f"{role}, {plural(site.balanced_accuracy.clusters, metrics.unit)}", rows)
        )
    if sum(site.held_out for site in metrics.methods[0].sites) > 1:
        rows = tuple(
            ComparisonRow(each.method, each.held_out, series_of(metrics, each.method)) for each in metrics.methods
        )
        blocks.append(ComparisonBlock("Held-out hospitals", "unweighted mean", rows))
    return blocks


def fold_difference_blocks(metrics: FoldMetrics, comparisons: Sequence[FoldComparison]) -> list[ComparisonBlock]:
    """Return paired differences by hospital, then over the held-out hospitals."""
    if not comparisons:
        return []
    blocks = []
    for index, site in enumerate(comparisons[0].sites):
        rows = tuple(
            ComparisonRow(each.reference, each.sites[index].difference, WITH_ADDITION, signs=True)
            for each in comparisons
        )
        role = "held out" if site.held_out else "source"
        blocks.append(ComparisonBlock(site.site, f"{role}, {plural(site.difference.clusters, metrics.unit)}", rows))
    if sum(site.held_out for site in comparisons[0].sites) > 1:
        rows = tuple(ComparisonRow(each.reference, each.held_out, WITH_ADDITION, signs=True) for each in comparisons)
        blocks.append(ComparisonBlock("Held-out hospitals", "unweighted mean", rows))
    return blocks


def draw_comparison(
    blocks: Sequence[ComparisonBlock], name: str, description: str, *, width: float, chance: float | None
) -> str:
    """Draw a forest plot.

    Args:
        blocks: From top to bottom.
        name: Unique in the page.
        description: Text for screen readers.
        width: CSS pixels, `WIDE` (labels at the left) or `NARROW` (labels above their rows).
        chance: Balanced accuracy of random guessing in percent; None draws differences around zero.
    """
    names_at_left = width > NARROW
    left, right, row_height = (215.0, 150.0, 23.0) if names_at_left else (4.0, 128.0, 38.0)
    height = _TOP + _BOTTOM + sum(_HEAD + row_height * len(block.rows) for block in blocks)
    plot_width, plot_height = width - left - right - 16, height - _TOP - _BOTTOM
    with style():
        figure = new_figure(width, height)
        axes = figure.add_axes((left / width, _BOTTOM / height, plot_width / width, plot_height / height))
        low, high = _limits(blocks) if chance is None else (0.0, 100.0)
        axes.set_xlim(low, high)
        axes.set_ylim(plot_height, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_axisbelow(True)
        axes.set_xlabel("Balanced accuracy, %" if chance is not None else "Gain, percentage points", fontsize=11)
        start, end = -left / plot_width, 1 + (right + 14) / plot_width
        transform, y = axes.get_yaxis_transform(), 0.0
        for block in blocks:
            axes.plot([start, end], [y, y], color=LINE, linewidth=0.8, clip_on=False, transform=transform)
            title_length = int((width - 6.5 * len(block.note) - 24) / 8.5)
            title = block.title if len(block.title) <= title_length else block.title[: title_length - 1].rstrip() + "…"
            heading = y + _HEAD - 14
            axes.text(start, heading, title, fontsize=13, fontweight="bold", va="center", transform=transform)
            axes.text(end, heading, block.note, fontsize=11, color=MUTED, va="center", ha="right", transform=transform)
            y += _HEAD
            for row in block.rows:
                middle = y + row_height - 14
                label_at = middle if names_at_left else middle - 17
                axes.text(start, label_at, row.label, fontsize=12, color=INK, va="center", transform=transform)
                # One line per row, so that it does not cross a label.
                axes.plot([chance or 0.0] * 2, [middle - 9, middle + 9], color=MUTED, linewidth=1, zorder=1,
                          linestyle=(0, (4, 3)))  # fmt: skip
                _draw_row(axes, row, middle, 1 + 10 / plot_width)
                y += row_height
        return to_svg(figure, name, description)


def _draw_row(axes: Axes, row: ComparisonRow, y: float, text_x: float) -> None:
    estimate, colour = row.estimate, SERIES[row.series]
    axes.text(text_x, y, row.text, fontsize=11.5, color=INK, va="center", transform=axes.get_yaxis_transform())
    if estimate.value is None:
        return
    for value in row.folds:
        axes.plot([100 * value], [y], marker="o", markersize=4, markerfacecolor="none", markeredgecolor=MUTED,
                  linestyle="none", clip_on=False)  # fmt: skip
    if estimate.low is not None and estimate.high is not None:
        ends = [100 * estimate.low, 100 * estimate.high]
        axes.plot(ends, [y, y], color=colour, linewidth=2.4, solid_capstyle="butt", clip_on=False)
    point = ([100 * estimate.value], [y])
    axes.plot(*point, marker=MARKERS[row.series], markersize=8, color=colour, linestyle="none", clip_on=False)


def _limits(blocks: Sequence[ComparisonBlock]) -> tuple[float, float]:
    estimates = [row.estimate for block in blocks for row in block.rows]
    known = [abs(end) for each in estimates for end in (each.value, each.low, each.high) if end is not None]
    limit = 110 * max([0.05, *known])
    return -limit, limit


def write_comparison(metrics: FoldMetrics, out: Path) -> Path:
    """Write the comparison report; the same metrics give the same bytes.

    Args:
        metrics: Result of `evaluate_folds` or `read_folds`.
        out: HTML file to write, e.g. `comparison.html`.

    Returns:
        `out`.

    Examples:
        >>> from heart2heart.evaluation import evaluate_folds
        >>> from heart2heart.schema.predictions import Predictions
        >>> folds = evaluate_folds([Predictions.read("evaluation/predictions.parquet")], replicates=100)
        >>> write_comparison(folds, Path("comparison.html")).name
        'comparison.html'
    """
    words = task_words(metrics)
    names = {*metrics.classes, *metrics.splits, *(method.method for method in metrics.methods)}
    names |= {site.site for method in metrics.methods for site in method.sites}
    content = adapt_content(comparison_content(metrics), words, names)
    write_text(out, fold_reasons(render("comparison.html.j2", content, escape=True, words=words)))
    return out


def task_words(metrics: FoldMetrics) -> TaskWords:
    """Return the words of the task of a comparison."""
    return TaskWords(metrics.task, metrics.cases)


def comparison_content(metrics: FoldMetrics) -> dict[str, Any]:
    """Return the content of the template, by name."""
    chance = 1 / len(metrics.classes)
    scores = fold_score_blocks(metrics)
    extensions = comparison_sentences.with_additions(metrics)
    gains = fold_difference_blocks(metrics, extensions)
    tests = count_tests(metrics)
    return {
        "metrics": metrics,
        "headline": comparison_sentences.comparison_headline(metrics),
        "findings": comparison_sentences.findings(metrics),
        "hospitals": [(site.site, site.held_out, site.balanced_accuracy.clusters) for site in metrics.methods[0].sites],
        "highest": comparison_sentences.highest(metrics),
        "mean_shown": any(method.held_out.value is not None for method in metrics.methods),
        "chance": chance,
        "synthetic_text": comparison_sentences.SYNTHETIC,
        "judge": judge_difference,
        "by_margin": describe_difference_by_margin,
        "scores": _figures(
            scores, "scores", f"Balanced accuracy by hospital and method. {_describe_rows(scores)}", 100 * chance
        ),
        "gains": _figures(gains, "gains", f"Gain by hospital. {_describe_rows(gains)}", None) if extensions else None,
        "extensions": [(each, comparison_sentences.describe(each, tests)) for each in extensions],
        "others": [
            (each, comparison_sentences.describe(each, tests)) for each in metrics.comparisons if each not in extensions
        ],
        "folds": len(metrics.splits),
        "limits": comparison_sentences.limits_of_comparison(metrics),
    }


def _figures(blocks: list[ComparisonBlock], name: str, description: str, chance: float | None) -> tuple[str, str]:
    return (
        draw_comparison(blocks, f"{name}-wide", description, width=WIDE, chance=chance),
        draw_comparison(blocks, f"{name}-narrow", description, width=NARROW, chance=chance),
    )


def _describe_rows(blocks: list[ComparisonBlock]) -> str:
    return " ".join(f"{block.title}: " + ", ".join(row.spoken for row in block.rows) + "." for block in blocks)
