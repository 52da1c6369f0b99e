"""Small figures: reliability diagrams, risk-coverage curves and label-shift bars of a hospital, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.reporting.numbers import percent, points
from heart2heart.reporting.svg import INK, LINE, MARKERS, MUTED, SERIES, new_figure, style, to_svg
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import RunInfo
from heart2heart.schema.site_metrics import LabelShift, ReliabilityBin, Selective, SiteMetrics


def reliability_figure(name: str, series: Sequence[tuple[int, SiteMetrics]], description: str) -> str | None:
    """Draw the reliability diagram of one hospital; None without scored frames.

    Solid lines show the raw probabilities. Dotted lines with open markers show them after temperature scaling.

    Args:
        name: Unique in the page.
        series: Series number and metrics of the site, one item per method.
        description: Text for screen readers; the points are appended to it.
    """
    if not any(site.reliability for _, site in series):
        return None
    with style():
        figure = new_figure(380, 280)
        axes = figure.add_axes((0.14, 0.155, 0.83, 0.815))
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for number, site in series:
            series_index = number % len(SERIES)
            axes.plot(
                [100 * point.confidence for point in site.reliability],
                [100 * point.accuracy for point in site.reliability],
                color=SERIES[series_index],
                marker=MARKERS[series_index],
                markersize=5,
                linewidth=1.6,
            )
            axes.plot(
                [100 * point.confidence for point in site.reliability_scaled],
                [100 * point.accuracy for point in site.reliability_scaled],
                color=SERIES[series_index],
                marker=MARKERS[series_index],
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
        axes.set_ylabel("Correct, %", fontsize=11)
        spoken = " ".join(
            f"Line {series_index}, confidence to share correct: {_describe_bins(site.reliability)}."
            for series_index, (_, site) in enumerate(series, start=1)
        )
        return to_svg(figure, name, f"{description} {spoken}")


def _describe_bins(points: Sequence[ReliabilityBin]) -> str:
    return ", ".join(f"{percent(point.confidence)} to {percent(point.accuracy)}" for point in points) or "none"


CURVES = (
    ("validation_balanced_accuracy", "Source-validation balanced accuracy, %", 100.0),
    ("conflict_rate", "Steps whose gradients conflict, %", 100.0),
    ("loss_labeled", "Loss on labeled images", 1.0),
    ("loss_unlabeled", "Loss on unlabeled images", 1.0),
)
"""Values of the training history that are drawn if present: key, title, factor."""


def learning_figures(runs: Sequence[RunInfo], metrics: Metrics) -> list[tuple[str, str]]:
    """Draw each recorded value over the training steps; return pairs of title and SVG."""
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
                series_index = number % len(SERIES)
                steps, values = [step for step, _ in points], [value for _, value in points]
                axes.plot(
                    steps, values, color=SERIES[series_index], marker=MARKERS[series_index], markersize=4, linewidth=1.6
                )
            axes.set_ylim(0, 100 if factor == 100 else None)
            axes.grid(True, color=LINE, linewidth=0.8)
            axes.tick_params(length=0, labelsize=11)
            axes.set_xlabel("Training step", fontsize=11)
            spoken = "; ".join(
                f"{run.run} {points[0][1]:.3g} at step {points[0][0]:g}, {points[-1][1]:.3g} at {points[-1][0]:g}"
                for run, (points, _) in zip(runs, curves, strict=True)
                if points
            )
            name = f"curve-{key.replace('_', '-')}"
            figures.append((title, to_svg(figure, name, f"{title} by training step: {spoken}.")))
    return figures


_DESCRIBED_COVERAGES = (0.5, 0.8, 0.9, 1.0)


def risk_coverage_figure(
    name: str, series: Sequence[tuple[int, SiteMetrics]], description: str, *, top: float
) -> str | None:
    """Draw the risk-coverage curve of one hospital; None without scored frames.

    The risk is the share of errors among the kept frames, the coverage is the share of kept frames. The large marker is
    the threshold that was set on the source validation frames.

    Args:
        name: Unique in the page.
        series: Series number and metrics of the site, one item per method.
        description: Text for screen readers; risks at several coverages are appended to it.
        top: Largest risk of all hospitals, for a common scale.
    """
    known = [(number, site.selective) for number, site in series if site.selective]
    if not known:
        return None
    with style():
        figure = new_figure(380, 270)
        axes = figure.add_axes((0.14, 0.16, 0.82, 0.81))
        for number, selective in known:
            series_index = number % len(SERIES)
            risks = [100 * point.risk for point in selective.curve]
            axes.plot(
                [100 * point.coverage for point in selective.curve], risks, color=SERIES[series_index], linewidth=1.8
            )
            if selective.coverage.value is not None and selective.risk.value is not None:
                point = [100 * selective.coverage.value], [100 * selective.risk.value]
                axes.plot(*point, marker=MARKERS[series_index], markersize=10, color=SERIES[series_index],
                          linestyle="none", clip_on=False)  # fmt: skip
        axes.set_xlim(0, 101)
        axes.set_ylim(0, min(100.0, max(10.0, 108 * top)))
        axes.set_xticks(range(0, 101, 25))
        axes.grid(True, color=LINE, linewidth=0.8)
        axes.tick_params(length=0, labelsize=11)
        axes.set_xlabel("Frames kept, %", fontsize=11)
        axes.set_ylabel("Wrong among the kept, %", fontsize=11)
        spoken = "; ".join(
            f"line {series_index}: {_describe_risk(selective)}"
            for series_index, (_, selective) in enumerate(known, start=1)
        )
        return to_svg(figure, name, f"{description} {spoken}.")


def _describe_risk(selective: Selective) -> str:
    texts = [
        f"{percent(point.coverage)} kept, {percent(point.risk)} of those wrong"
        for coverage in _DESCRIBED_COVERAGES
        for point in selective.curve
        if abs(point.coverage - coverage) < 1e-6
    ]
    return ", ".join(texts)


_BAR, _GAP, _LEFT, _RIGHT, _BOTTOM = 11.0, 15.0, 76.0, 14.0, 40.0  # pixels


def label_shift_bars(name: str, shift: LabelShift, series: int, description: str) -> str:
    """Draw three bars per view: the source (gray), the hospital (filled), and the estimate without labels (outlined).

    Args:
        name: Unique in the page.
        shift: Shares of the views.
        series: Series number of the method with the estimate.
        description: Text for screen readers; every number is appended to it.
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
        for index, view in enumerate(views):
            top = index * block + _GAP / 2
            shares = [shift.source_shares[view], shift.shares[view]]
            if shift.estimated_shares is not None:
                shares.append(shift.estimated_shares[view])
            highest = max(highest, *shares)
            fills, edges = (MUTED, colour, "none"), ("none", "none", colour)
            for bar, (share, fill, edge) in enumerate(zip(shares, fills, edges, strict=False)):
                centre = top + (bar + 0.5) * _BAR
                axes.barh(centre, 100 * share, height=_BAR - 2, facecolor=fill, edgecolor=edge, linewidth=1.4)
            if shift.estimated_low is not None and shift.estimated_high is not None:
                ends = [100 * shift.estimated_low[view], 100 * shift.estimated_high[view]]
                highest = max(highest, shift.estimated_high[view])
                axes.plot(ends, [top + 2.5 * _BAR] * 2, color=INK, linewidth=1.2, solid_capstyle="butt")
            axes.text(-0.03, top + 1.5 * _BAR, view, fontsize=11, color=INK, va="center", ha="right",
                      transform=axes.get_yaxis_transform())  # fmt: skip
        axes.set_xlim(0, max(10.0, 108 * highest))
        return to_svg(figure, name, f"{description} {_describe_shares(shift)}")


def _describe_shares(shift: LabelShift) -> str:
    parts = []
    for view, share in shift.shares.items():
        text = f"{view}: {percent(shift.source_shares[view])} at the source, {percent(share)} at the hospital"
        if shift.estimated_shares and shift.estimated_low and shift.estimated_high:
            ends = f"{points(shift.estimated_low[view])} to {points(shift.estimated_high[view])}"
            text += f", {percent(shift.estimated_shares[view])} estimated ({ends})"
        parts.append(f"{text}.")
    if shift.reason:
        parts.append(f"The shares are not estimable without labels: {shift.reason}.")
    return " ".join(parts)
