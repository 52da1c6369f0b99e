"""How common the views are: bars of the source, of a hospital, and of what the model itself would estimate there."""

from __future__ import annotations

from heart2heart.evaluate.site_schema import LabelShift
from heart2heart.report.numbers import percent
from heart2heart.report.svg import INK, LINE, MUTED, SERIES, new_figure, style, to_svg

_BAR, _GAP, _LEFT, _RIGHT, _BOTTOM = 11.0, 15.0, 76.0, 14.0, 40.0  # pixels


def shares_figure(name: str, shift: LabelShift, series: int, description: str) -> str:
    """Draw three bars a view: the source (gray), the hospital (filled), and as estimated without labels (outlined).

    Args:
        name: Unique in the page.
        shift: The shares.
        series: Series number of the method that estimated.
        description: For screen readers; every number is appended to it.
    """
    views = list(shift.shares)
    block = 3 * _BAR + _GAP
    width, height = 380.0, len(views) * block + _BOTTOM + 4
    colour = SERIES[series % len(SERIES)]
    with style():
        figure = new_figure(width, height)
        plot_height = height - _BOTTOM - 4
        axes = figure.add_axes(
            (_LEFT / width, _BOTTOM / height, (width - _LEFT - _RIGHT) / width, plot_height / height)
        )
        axes.set_ylim(plot_height, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.grid(True, color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=11)
        axes.set_xlabel("Share of the frames, %", fontsize=11)
        highest = 0.0
        for place, view in enumerate(views):
            top = place * block + _GAP / 2
            shares = (shift.source_shares[view], shift.shares[view], shift.estimated_shares[view])
            highest = max(highest, *shares)
            fills, edges = (MUTED, colour, "none"), ("none", "none", colour)
            for number, (share, fill, edge) in enumerate(zip(shares, fills, edges, strict=True)):
                at = top + (number + 0.5) * _BAR
                axes.barh(at, 100 * share, height=_BAR - 2, facecolor=fill, edgecolor=edge, linewidth=1.4)
            axes.text(-0.03, top + 1.5 * _BAR, view, fontsize=11, color=INK, va="center", ha="right",
                      transform=axes.get_yaxis_transform())  # fmt: skip
        axes.set_xlim(0, max(10.0, 108 * highest))
        return to_svg(figure, name, f"{description} {_say(shift)}")


def _say(shift: LabelShift) -> str:
    parts = [
        f"{view}: {percent(shift.source_shares[view])} at the source, {percent(share)} here, "
        f"{percent(shift.estimated_shares[view])} as estimated."
        for view, share in shift.shares.items()
    ]
    return " ".join(parts)
