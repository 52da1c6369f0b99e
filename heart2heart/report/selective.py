"""Risk-coverage curves: how many errors are left when the least confident frames are held back."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.evaluate.schema import SiteMetrics
from heart2heart.evaluate.site_schema import Selective
from heart2heart.report.numbers import percent
from heart2heart.report.svg import LINE, MARKERS, SERIES, new_figure, style, to_svg

_SPOKEN = (0.5, 0.8, 0.9, 1.0)


def risk_coverage_figure(
    name: str, series: Sequence[tuple[int, SiteMetrics]], description: str, *, top: float
) -> str | None:
    """Draw the share of errors among the kept frames over the share that is kept; None when nothing is scored.

    The large marker is the operating point: the threshold that was frozen on source validation.

    Args:
        name: Unique in the page.
        series: Series number and the site's metrics, one a method.
        description: For screen readers; risks at a few coverages are appended to it.
        top: Largest risk that any hospital shows: all share one scale.
    """
    known = [(number, site.selective) for number, site in series if site.selective]
    if not known:
        return None
    with style():
        figure = new_figure(380, 270)
        axes = figure.add_axes((0.14, 0.16, 0.82, 0.81))
        for number, found in known:
            place = number % len(SERIES)
            risks = [100 * point.risk for point in found.curve]
            axes.plot([100 * point.coverage for point in found.curve], risks, color=SERIES[place], linewidth=1.8)
            if found.coverage.value is not None and found.risk.value is not None:
                axes.plot([100 * found.coverage.value], [100 * found.risk.value], marker=MARKERS[place], markersize=10,
                          color=SERIES[place], linestyle="none", clip_on=False)  # fmt: skip
        axes.set_xlim(0, 101)
        axes.set_ylim(0, min(100.0, max(10.0, 108 * top)))
        axes.set_xticks(range(0, 101, 25))
        axes.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_xlabel("Frames kept, %", fontsize=11)
        axes.set_ylabel("Wrong among the kept, %", fontsize=11)
        spoken = "; ".join(f"line {place}: {_say(found)}" for place, (_, found) in enumerate(known, start=1))
        return to_svg(figure, name, f"{description} {spoken}.")


def _say(found: Selective) -> str:
    said = [
        f"{percent(point.coverage)} kept, {percent(point.risk)} of those wrong"
        for wanted in _SPOKEN
        for point in found.curve
        if abs(point.coverage - wanted) < 1e-6
    ]
    return ", ".join(said)
