"""Forest plots: one block a hospital, one line a method, point and interval, the numbers at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heart2heart.evaluate.schema import Comparison, Estimate, Metrics
from heart2heart.report.numbers import interval, plural, points, signed
from heart2heart.report.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE, NARROW = 860.0, 350.0
_BLOCK, _ROW, _TOP, _BOTTOM = 34.0, 23.0, 6.0, 38.0  # pixels


@dataclass(frozen=True)
class Line:
    """One estimate of a block, drawn in the colour and marker of series number `series`."""

    estimate: Estimate
    series: int


@dataclass(frozen=True)
class Block:
    """One hospital: its name, a few words about it, and its lines."""

    title: str
    note: str
    lines: tuple[Line, ...]


def accuracy_blocks(metrics: Metrics) -> list[Block]:
    """Arrange balanced accuracy by hospital and method."""
    blocks = []
    for place, site in enumerate(metrics.sites):
        lines = tuple(
            Line(method.sites[place].balanced_accuracy, series) for series, method in enumerate(metrics.methods)
        )
        role = "held out" if site.held_out else "source"
        blocks.append(Block(site.site, f"{role}, {plural(site.clusters, metrics.unit)}", lines))
    return blocks


def difference_blocks(comparison: Comparison, metrics: Metrics) -> list[Block]:
    """Arrange the paired difference by hospital."""
    candidate = [method.method for method in metrics.methods].index(comparison.candidate)
    return [
        Block(about.site, plural(about.clusters, metrics.unit), (Line(row.difference, candidate),))
        for about, row in zip(metrics.sites, comparison.sites, strict=True)
    ]


def forest(
    blocks: Sequence[Block], name: str, description: str, *, width: float, reference: float, difference: bool = False
) -> str:
    """Draw a forest plot.

    Args:
        blocks: From top to bottom.
        name: Unique in the page.
        description: For screen readers.
        width: CSS pixels, `WIDE` or `NARROW`.
        reference: Where the dashed vertical line stands: chance, or zero.
        difference: The estimates are signed differences; the axis then follows the data.
    """
    height = _TOP + _BOTTOM + sum(_BLOCK + _ROW * len(block.lines) for block in blocks)
    right = 150.0
    low, high = _limits(blocks) if difference else (0.0, 100.0)
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
        axes.set_xlabel("Difference, percent points" if difference else "Balanced accuracy, %", fontsize=11)
        beside = 1 + 12 / (width - right - 16)
        y = 0.0
        for block in blocks:
            heading = y + _BLOCK - 14
            pixel = 1 / (width - right - 16)
            axes.plot([0, 1 + (right + 2) * pixel], [y, y], color=LINE, linewidth=0.8, clip_on=False,
                      transform=axes.get_yaxis_transform())  # fmt: skip
            axes.text(0, heading, _fit(block.title, block.note, width), fontsize=13, fontweight="bold", va="center",
                      transform=axes.get_yaxis_transform())  # fmt: skip
            axes.text(1 + (right + 2) * pixel, heading, block.note, fontsize=11, color=MUTED, va="center", ha="right",
                      transform=axes.get_yaxis_transform())  # fmt: skip
            y += _BLOCK
            for line in block.lines:
                _draw(axes, line, y + _ROW / 2 - 3, beside, signs=difference)
                y += _ROW
        return to_svg(figure, name, description)


def _fit(title: str, note: str, width: float) -> str:
    """Shorten a hospital's name so that it cannot run into the note at the right; the tables give it in full."""
    room = int((width - 6.5 * len(note) - 24) / 8.5)
    return title if len(title) <= room else title[: room - 1].rstrip() + "…"


def _limits(blocks: Sequence[Block]) -> tuple[float, float]:
    ends = [end for block in blocks for line in block.lines for end in (line.estimate.low, line.estimate.high)]
    ends += [line.estimate.value for block in blocks for line in block.lines]
    known = [100 * end for end in ends if end is not None]
    reach = max([5.0, *(abs(end) for end in known)]) * 1.1
    return -reach, reach


def _draw(axes: Axes, line: Line, y: float, beside: float, *, signs: bool) -> None:
    found, place = line.estimate, line.series % len(SERIES)
    colour, transform = SERIES[place], axes.get_yaxis_transform()
    if found.value is None:
        axes.text(0.0, y, "not estimable", fontsize=11, color=MUTED, va="center", transform=transform)
        return
    if found.low is not None and found.high is not None:
        ends = [100 * found.low, 100 * found.high]
        axes.plot(ends, [y, y], color=colour, linewidth=2.4, solid_capstyle="butt", clip_on=False)
    # Not clipped: a marker at 100 % would be cut in half by the axis.
    point = ([100 * found.value], [y])
    axes.plot(*point, marker=MARKERS[place], markersize=8, color=colour, linestyle="none", clip_on=False)
    write = signed if signs else points
    rest = f" ({interval(found, sign=signs)})" if found.low is not None else " (no interval)"
    axes.text(beside, y, write(found.value) + rest, fontsize=12, color=INK, va="center", transform=transform)
