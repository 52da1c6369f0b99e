"""Forest plots: one over all hospitals, and small ones with a label beside each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heart2heart.reporting.numbers import interval, percent, plural, points, signed
from heart2heart.reporting.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.schema.metrics import Comparison, Metrics
from heart2heart.schema.site_metrics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE, NARROW = 860.0, 350.0
_BLOCK, _ROW, _TOP, _BOTTOM = 34.0, 23.0, 6.0, 38.0  # pixels


@dataclass(frozen=True)
class ForestLine:
    """One estimate of a block, drawn in the colour and marker of series number `series`."""

    estimate: Estimate
    series: int


@dataclass(frozen=True)
class ForestBlock:
    """One block of a forest plot, such as a hospital: its title, a note and its estimates."""

    title: str
    note: str
    lines: tuple[ForestLine, ...]


def accuracy_blocks(metrics: Metrics) -> list[ForestBlock]:
    """Arrange balanced accuracy by hospital and method."""
    blocks = []
    for index, site in enumerate(metrics.sites):
        lines = tuple(
            ForestLine(method.sites[index].balanced_accuracy, series) for series, method in enumerate(metrics.methods)
        )
        role = "held out" if site.held_out else "source"
        blocks.append(ForestBlock(site.site, f"{role}, {plural(site.clusters, metrics.unit)}", lines))
    return blocks


def difference_blocks(comparison: Comparison, metrics: Metrics) -> list[ForestBlock]:
    """Arrange the paired difference by hospital."""
    candidate = [method.method for method in metrics.methods].index(comparison.candidate)
    return [
        ForestBlock(site.site, plural(site.clusters, metrics.unit), (ForestLine(row.difference, candidate),))
        for site, row in zip(metrics.sites, comparison.sites, strict=True)
    ]


def forest(
    blocks: Sequence[ForestBlock],
    name: str,
    description: str,
    *,
    width: float,
    reference: float,
    difference: bool = False,
) -> str:
    """Draw a forest plot.

    Args:
        blocks: From top to bottom.
        name: Unique in the page.
        description: Text for screen readers.
        width: CSS pixels, `WIDE` or `NARROW`.
        reference: Position of the dashed vertical line: chance, or zero.
        difference: The estimates are signed differences, and the axis is scaled to them.
    """
    height = _TOP + _BOTTOM + sum(_BLOCK + _ROW * len(block.lines) for block in blocks)
    right = 150.0
    low, high = _axis_limits(blocks) if difference else (0.0, 100.0)
    with style():
        figure = new_figure(width, height)
        plot_height = height - _TOP - _BOTTOM
        axes = figure.add_axes((4 / width, _BOTTOM / height, (width - right - 16) / width, plot_height / height))
        axes.set_xlim(low, high)
        axes.set_ylim(plot_height, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.axvline(100 * reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.xaxis.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_axisbelow(True)
        axes.set_xlabel("Difference, percentage points" if difference else "Balanced accuracy, %", fontsize=11)
        text_x = 1 + 12 / (width - right - 16)
        y = 0.0
        for block in blocks:
            heading = y + _BLOCK - 14
            pixel = 1 / (width - right - 16)
            axes.plot([0, 1 + (right + 2) * pixel], [y, y], color=LINE, linewidth=0.8, clip_on=False,
                      transform=axes.get_yaxis_transform())  # fmt: skip
            title = _shorten_title(block.title, block.note, width)
            axes.text(0, heading, title, fontsize=13, fontweight="bold", va="center",
                      transform=axes.get_yaxis_transform())  # fmt: skip
            axes.text(1 + (right + 2) * pixel, heading, block.note, fontsize=11, color=MUTED, va="center", ha="right",
                      transform=axes.get_yaxis_transform())  # fmt: skip
            y += _BLOCK
            for line in block.lines:
                _draw(axes, line, y + _ROW / 2 - 3, text_x, signs=difference)
                y += _ROW
        return to_svg(figure, name, description)


def _shorten_title(title: str, note: str, width: float) -> str:
    """Shorten a title so that it does not overlap the note at the right; the tables give it in full."""
    title_length = int((width - 6.5 * len(note) - 24) / 8.5)
    return title if len(title) <= title_length else title[: title_length - 1].rstrip() + "…"


def _axis_limits(blocks: Sequence[ForestBlock]) -> tuple[float, float]:
    ends = [end for block in blocks for line in block.lines for end in (line.estimate.low, line.estimate.high)]
    ends += [line.estimate.value for block in blocks for line in block.lines]
    known = [100 * end for end in ends if end is not None]
    limit = max([5.0, *(abs(end) for end in known)]) * 1.1
    return -limit, limit


def _draw(axes: Axes, line: ForestLine, y: float, text_x: float, *, signs: bool) -> None:
    estimate, series_index = line.estimate, line.series % len(SERIES)
    colour, transform = SERIES[series_index], axes.get_yaxis_transform()
    if estimate.value is None:
        axes.text(0.0, y, "not estimable", fontsize=11, color=MUTED, va="center", transform=transform)
        return
    if estimate.low is not None and estimate.high is not None:
        ends = [100 * estimate.low, 100 * estimate.high]
        axes.plot(ends, [y, y], color=colour, linewidth=2.4, solid_capstyle="butt", clip_on=False)
    # No clipping: the axis would cut a marker at 100 % in half.
    point = ([100 * estimate.value], [y])
    axes.plot(*point, marker=MARKERS[series_index], markersize=8, color=colour, linestyle="none", clip_on=False)
    write = signed if signs else points
    rest = f" ({interval(estimate, sign=signs)})" if estimate.low is not None else " (no interval)"
    axes.text(text_x, y, write(estimate.value) + rest, fontsize=12, color=INK, va="center", transform=transform)


_WIDTH, _LEFT, _RIGHT, _TOP_MARGIN, _BOTTOM_MARGIN = 380.0, 132.0, 14.0, 6.0, 40.0  # pixels
_ROW_HEIGHT, _LINE, _HEADING, _FIT = 13.0, 13.0, 24.0, 21


@dataclass(frozen=True)
class ForestRow:
    """One row: its label and one estimate per method. A row without estimates is a heading."""

    label: str
    lines: tuple[ForestLine, ...] = ()

    @property
    def height(self) -> float:
        """Height of the row in pixels."""
        return _ROW_HEIGHT + _LINE * len(self.lines) if self.lines else _HEADING


def rows_figure(
    rows: Sequence[ForestRow], name: str, description: str, *, axis: str, reference: float | None = None
) -> str:
    """Draw shares between 0 and 1 with their intervals; a table beside the figure gives the numbers.

    Args:
        rows: From top to bottom.
        name: Unique in the page.
        description: Text for screen readers; every number is appended to it.
        axis: Name of the quantity, drawn in percent.
        reference: Position of a dashed vertical line, such as chance.
    """
    plot_height = sum(row.height for row in rows)
    height = _TOP_MARGIN + plot_height + _BOTTOM_MARGIN
    with style():
        figure = new_figure(_WIDTH, height)
        plot = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
        axes = figure.add_axes((_LEFT / _WIDTH, _BOTTOM_MARGIN / height, plot, plot_height / height))
        axes.set_xlim(0, 100)
        axes.set_ylim(plot_height, 0)
        axes.set_yticks([])
        axes.set_xticks(range(0, 101, 25))
        axes.spines["left"].set_visible(False)
        axes.xaxis.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_axisbelow(True)
        axes.set_xlabel(f"{axis}, %", fontsize=11)
        if reference is not None:
            axes.axvline(100 * reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        transform = axes.get_yaxis_transform()
        left = -(_LEFT - 2) / (_WIDTH - _LEFT - _RIGHT)
        y = 0.0
        for row in rows:
            weight = "normal" if row.lines else "bold"
            axes.text(left, y + row.height / 2, _shorten_label(row.label), fontsize=11, fontweight=weight, va="center",
                      color=INK, transform=transform)  # fmt: skip
            for index, line in enumerate(row.lines):
                centre, estimate, series = (
                    y + _ROW_HEIGHT / 2 + _LINE * (index + 0.5),
                    line.estimate,
                    line.series % len(SERIES),
                )
                if estimate.value is None:
                    axes.text(1, centre, "not estimable", fontsize=10, color=MUTED, va="center")
                    continue
                if estimate.low is not None and estimate.high is not None:
                    ends = [100 * estimate.low, 100 * estimate.high]
                    axes.plot(ends, [centre, centre], color=SERIES[series], linewidth=2, solid_capstyle="butt",
                              clip_on=False)  # fmt: skip
                axes.plot([100 * estimate.value], [centre], marker=MARKERS[series], markersize=6.5,
                          color=SERIES[series], linestyle="none", clip_on=False)  # fmt: skip
            y += row.height
        return to_svg(figure, name, f"{description} {_describe_rows(rows)}")


def _shorten_label(label: str) -> str:
    return label if len(label) <= _FIT else label[: _FIT - 1].rstrip() + "…"


def _describe_rows(rows: Sequence[ForestRow]) -> str:
    parts = []
    for row in rows:
        numbers = ", ".join(f"{percent(line.estimate.value)} ({interval(line.estimate)})" for line in row.lines)
        parts.append(f"{row.label}: {numbers}." if numbers else f"{row.label}.")
    return " ".join(parts)
