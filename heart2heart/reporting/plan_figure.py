"""The curve of power over patients, as an SVG file that stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.evaluation.planning import Power
from heart2heart.reporting.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg

_WIDTH, _HEIGHT = 560.0, 340.0
_OPENING = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
_COLOURS = (
    "<style>:root{--ink:#1a2230;--muted:#56606e;--line:#dcdcd5;--series-1:#a8500b}"
    "text{font-family:system-ui,sans-serif}</style>"
)


def power_curve(powers: Sequence[Power], *, target: float, claim: str) -> str:
    """Draw the power over the number of patients, with its error by simulation.

    Args:
        powers: By ascending number of patients.
        target: The target power, drawn as a dashed line.
        claim: What is to be shown, such as `no more than 5 points lost`.

    Returns:
        An SVG document.
    """
    patients = [power.patients for power in powers]
    described = ", ".join(f"{power.patients} patients {100 * power.power:.0f} %" for power in powers)
    with style():
        figure = new_figure(_WIDTH, _HEIGHT)
        axes = figure.add_axes((64 / _WIDTH, 52 / _HEIGHT, (_WIDTH - 84) / _WIDTH, (_HEIGHT - 92) / _HEIGHT))
        axes.set_xscale("log")
        axes.set_xlim(patients[0] / 1.1, patients[-1] * 1.1)
        axes.set_ylim(0, 100)
        axes.set_xticks(patients, [str(number) for number in patients])
        axes.minorticks_off()
        axes.yaxis.grid(True, color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.axhline(100 * target, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.errorbar(
            patients,
            [100 * power.power for power in powers],
            yerr=[196 * power.error for power in powers],
            color=SERIES[0],
            marker=MARKERS[1],
            linewidth=2,
            capsize=3,
        )
        axes.set_xlabel("Patients at the hospital", fontsize=11)
        axes.set_ylabel("Power, %", fontsize=11)
        axes.set_title(f"Power to show {claim}", fontsize=13, color=INK, loc="left")
        inline = to_svg(figure, "power", f"Power to show {claim}: {described}.")
    opening, rest = inline[: inline.index(">") + 1], inline[inline.index(">") + 1 :]
    return opening.replace("<svg ", _OPENING, 1) + _COLOURS + rest + "\n"
