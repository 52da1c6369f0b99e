"""The comparison report: one HTML page about several methods over several splits, made from `folds.json` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.reporting import comparison_sentences as words
from heart2heart.reporting.numbers import interval, plural, points, signed
from heart2heart.reporting.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.reporting.writer import render
from heart2heart.schema.fold_metrics import FoldComparison, FoldMetrics
from heart2heart.schema.site_metrics import Estimate
from heart2heart.utils import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE, NARROW = 860.0, 350.0
REFERENCE, PLAIN, WITH_ADDITION = 5, 0, 1  # series: the reference, other methods, those that stand around another
_HEAD, _TOP, _BOTTOM = 34.0, 6.0, 38.0  # pixels


@dataclass(frozen=True)
class ComparisonRow:
    """One estimate with its name, and its value in each fold where the plot shows them."""

    label: str
    estimate: Estimate
    series: int
    folds: tuple[float, ...] = ()
    signs: bool = False

    @property
    def spoken(self) -> str:
        """What a screen reader says of it."""
        return f"{self.label} {self.text}"

    @property
    def text(self) -> str:
        """The numbers as they stand at the right."""
        found = self.estimate
        if found.value is None:
            return "not estimable"
        value = signed(found.value) if self.signs else points(found.value)
        return f"{value} ({interval(found, sign=self.signs)})" if found.low is not None else f"{value} (no interval)"


@dataclass(frozen=True)
class ComparisonBlock:
    """One hospital, or the mean of those held out."""

    title: str
    note: str
    rows: tuple[ComparisonRow, ...]


def series_of(metrics: FoldMetrics, method: str) -> int:
    """Return the series of a method: the reference's, that of one that extends another, or that of the rest."""
    if method == metrics.methods[0].method:
        return REFERENCE
    return WITH_ADDITION if any(each.extends for each in metrics.methods if each.method == method) else PLAIN


def score_blocks(metrics: FoldMetrics) -> list[ComparisonBlock]:
    """Arrange balanced accuracy by hospital, then over the held-out ones."""
    blocks = []
    for place, site in enumerate(metrics.methods[0].sites):
        rows = tuple(
            ComparisonRow(
                method.method,
                method.sites[place].balanced_accuracy,
                series_of(metrics, method.method),
                tuple(method.sites[place].by_fold.values()) if len(metrics.splits) > 1 else (),
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


def difference_blocks(metrics: FoldMetrics, comparisons: Sequence[FoldComparison]) -> list[ComparisonBlock]:
    """Arrange paired differences by hospital, then over the held-out ones."""
    if not comparisons:
        return []
    blocks = []
    for place, site in enumerate(comparisons[0].sites):
        rows = tuple(
            ComparisonRow(each.reference, each.sites[place].difference, WITH_ADDITION, signs=True)
            for each in comparisons
        )
        role = "held out" if site.held_out else "source"
        blocks.append(ComparisonBlock(site.site, f"{role}, {plural(site.difference.clusters, metrics.unit)}", rows))
    if sum(site.held_out for site in comparisons[0].sites) > 1:
        rows = tuple(ComparisonRow(each.reference, each.held_out, WITH_ADDITION, signs=True) for each in comparisons)
        blocks.append(ComparisonBlock("Held-out hospitals", "unweighted mean", rows))
    return blocks


def draw(blocks: Sequence[ComparisonBlock], name: str, description: str, *, width: float, chance: float | None) -> str:
    """Draw a forest plot.

    Args:
        blocks: From top to bottom.
        name: Unique in the page.
        description: For screen readers.
        width: CSS pixels, `WIDE` (names at the left) or `NARROW` (names above their rows).
        chance: Where blind guessing stands, per cent; None draws differences around zero.
    """
    beside = width > NARROW
    left, right, row_height = (215.0, 150.0, 23.0) if beside else (4.0, 128.0, 38.0)
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
        axes.set_xlabel("Balanced accuracy, %" if chance is not None else "Gain, percent points", fontsize=11)
        start, end = -left / plot_width, 1 + (right + 14) / plot_width
        transform, y = axes.get_yaxis_transform(), 0.0
        for block in blocks:
            axes.plot([start, end], [y, y], color=LINE, linewidth=0.8, clip_on=False, transform=transform)
            room = int((width - 6.5 * len(block.note) - 24) / 8.5)
            title = block.title if len(block.title) <= room else block.title[: room - 1].rstrip() + "…"
            heading = y + _HEAD - 14
            axes.text(start, heading, title, fontsize=13, fontweight="bold", va="center", transform=transform)
            axes.text(end, heading, block.note, fontsize=11, color=MUTED, va="center", ha="right", transform=transform)
            y += _HEAD
            for row in block.rows:
                middle = y + row_height - 14
                label_at = middle if beside else middle - 17
                axes.text(start, label_at, row.label, fontsize=12, color=INK, va="center", transform=transform)
                # Row by row, so that it does not cross a name.
                axes.plot([chance or 0.0] * 2, [middle - 9, middle + 9], color=MUTED, linewidth=1, zorder=1,
                          linestyle=(0, (4, 3)))  # fmt: skip
                _draw_row(axes, row, middle, 1 + 10 / plot_width)
                y += row_height
        return to_svg(figure, name, description)


def _draw_row(axes: Axes, row: ComparisonRow, y: float, beside: float) -> None:
    found, colour = row.estimate, SERIES[row.series]
    axes.text(beside, y, row.text, fontsize=11.5, color=INK, va="center", transform=axes.get_yaxis_transform())
    if found.value is None:
        return
    for value in row.folds:
        axes.plot([100 * value], [y], marker="o", markersize=4, markerfacecolor="none", markeredgecolor=MUTED,
                  linestyle="none", clip_on=False)  # fmt: skip
    if found.low is not None and found.high is not None:
        ends = [100 * found.low, 100 * found.high]
        axes.plot(ends, [y, y], color=colour, linewidth=2.4, solid_capstyle="butt", clip_on=False)
    point = ([100 * found.value], [y])
    axes.plot(*point, marker=MARKERS[row.series], markersize=8, color=colour, linestyle="none", clip_on=False)


def _limits(blocks: Sequence[ComparisonBlock]) -> tuple[float, float]:
    found = [row.estimate for block in blocks for row in block.rows]
    known = [abs(end) for each in found for end in (each.value, each.low, each.high) if end is not None]
    reach = 110 * max([0.05, *known])
    return -reach, reach


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
