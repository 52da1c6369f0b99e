"""Reliability diagrams and learning curves, one small figure each, so that a phone can stack them."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.evaluate.schema import Metrics, ReliabilityBin, SiteMetrics
from heart2heart.predictions import RunInfo
from heart2heart.report.numbers import percent
from heart2heart.report.svg import LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg


def reliability_figure(name: str, series: Sequence[tuple[int, SiteMetrics]], description: str) -> str | None:
    """Draw how often frames of similar confidence are right; None when there is nothing to draw.

    Solid lines are of the raw probabilities; dotted lines with open markers are after temperature scaling.

    Args:
        name: Unique in the page.
        series: Series number and the site's metrics, one a method.
        description: For screen readers; the points are appended to it.
    """
    if not any(site.reliability for _, site in series):
        return None
    with style():
        figure = new_figure(380, 280)
        axes = figure.add_axes((0.14, 0.155, 0.83, 0.815))
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for number, site in series:
            place = number % len(SERIES)
            axes.plot(
                [100 * point.confidence for point in site.reliability],
                [100 * point.accuracy for point in site.reliability],
                color=SERIES[place],
                marker=MARKERS[place],
                markersize=5,
                linewidth=1.6,
            )
            axes.plot(
                [100 * point.confidence for point in site.reliability_scaled],
                [100 * point.accuracy for point in site.reliability_scaled],
                color=SERIES[place],
                marker=MARKERS[place],
                markersize=5,
                markerfacecolor="none",
                linewidth=1.1,
                linestyle=(0, (1, 2)),
            )
        axes.set_xlim(0, 102)
        axes.set_ylim(0, 102)
        axes.set_xticks(range(0, 101, 25))
        axes.set_yticks(range(0, 101, 25))
        axes.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_xlabel("Confidence, %", fontsize=11)
        axes.set_ylabel("Right, %", fontsize=11)
        spoken = " ".join(
            f"Line {place}, confidence to share right: {_say(site.reliability)}."
            for place, (_, site) in enumerate(series, start=1)
        )
        return to_svg(figure, name, f"{description} {spoken}")


def _say(points: Sequence[ReliabilityBin]) -> str:
    return ", ".join(f"{percent(point.confidence)} to {percent(point.accuracy)}" for point in points) or "none"


CURVES = (
    ("validation_balanced_accuracy", "Source-validation balanced accuracy, %", 100.0),
    ("conflict_rate", "Steps whose gradients conflict, %", 100.0),
    ("loss_labeled", "Loss on labeled images", 1.0),
    ("loss_unlabeled", "Loss on unlabeled images", 1.0),
)
"""What is drawn of a run's history where present: key, title, factor."""


def learning_figures(runs: Sequence[RunInfo], metrics: Metrics) -> list[tuple[str, str]]:
    """Draw each recorded curve over the steps of training: pairs of title and SVG."""
    methods = [method.method for method in metrics.methods]
    series = [methods.index(run.method) for run in metrics.runs]
    figures = []
    for key, title, factor in CURVES:
        curves = [
            (
                [(point["step"], factor * point[key]) for point in run.history if key in point and "step" in point],
                number,
            )
            for run, number in zip(runs, series, strict=True)
        ]
        if not any(len(points) > 1 for points, _ in curves):
            continue
        with style():
            figure = new_figure(380, 250)
            axes = figure.add_axes((0.14, 0.165, 0.82, 0.795))
            for points, number in curves:
                place = number % len(SERIES)
                steps, values = [step for step, _ in points], [value for _, value in points]
                axes.plot(steps, values, color=SERIES[place], marker=MARKERS[place], markersize=4, linewidth=1.6)
            axes.set_ylim(0, 100 if factor == 100 else None)
            axes.grid(True, color=LINE, linewidth=0.8)
            axes.tick_params(length=0, labelsize=11)
            axes.set_xlabel("Training step", fontsize=11)
            said = "; ".join(
                f"{run.run} {points[0][1]:.3g} at step {points[0][0]:g}, {points[-1][1]:.3g} at {points[-1][0]:g}"
                for run, (points, _) in zip(runs, curves, strict=True)
                if points
            )
            name = f"curve-{key.replace('_', '-')}"
            figures.append((title, to_svg(figure, name, f"{title} by training step: {said}.")))
    return figures
