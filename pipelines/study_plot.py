"""The plot of a study: the gain over labels only by level of mismatch, with 95 % intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from heart2heart.utils import atomic_path
from pipelines.mismatch_variants import way_reads_pool
from pipelines.study_controls import Line, difference
from pipelines.study_design import REFERENCE, StudyDesign
from pipelines.study_report import POOL_NAMES, pool_scores
from pipelines.study_statistics import SeedInterval

_MARKERS = "osD^vPX*"


def plot(design: StudyDesign, lines: Sequence[Line], path: Path) -> None:
    """Draw a panel for each task and protocol: each way less labels only, paired by seed.

    A way without a pool is a dotted line with a band.

    Args:
        design: The study.
        lines: Its finished lines.
        path: The picture, PNG.
    """
    from matplotlib.figure import Figure

    across, down = len(design.protocols), len(design.tasks)
    figure = Figure(figsize=(max(6.4, 4.6 * across), 3.5 * down + 1.3), dpi=110, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey="row")
    ways = [way for way in design.ways if way != REFERENCE]
    with_pool = [way for way in ways if way_reads_pool(way)]
    for row, task in enumerate(design.tasks):
        for column, protocol in enumerate(design.protocols):
            axis = axes[row][column]
            axis.axhline(0.0, color="0.3", linewidth=1.0)
            for index, way in enumerate(ways):
                colour, points = f"C{index}", []
                for level in design.levels:
                    own, base = (pool_scores(design, lines, task, name, (protocol, level)) for name in (way, REFERENCE))
                    if gains := list(difference(own, base).values()):
                        points.append((level, SeedInterval.of(gains)))
                if not points:
                    continue
                if way not in with_pool:
                    interval = points[0][1]
                    axis.axhspan(
                        interval.mean - _half(interval), interval.mean + _half(interval), color=colour, alpha=0.08
                    )
                    axis.axhline(points[0][1].mean, color=colour, linestyle=":", linewidth=1.6, label=way)
                    continue
                shift = 2.2 * (with_pool.index(way) - (len(with_pool) - 1) / 2)
                axis.errorbar(
                    [level + shift for level, _ in points], [each.mean for _, each in points],
                    yerr=[[_half(each) for _, each in points]] * 2, color=colour, marker=_MARKERS[index % 8],
                    markersize=4.5, linewidth=1.2, capsize=2.5, label=way,
                )  # fmt: skip
            axis.set_title(f"{task}: {POOL_NAMES[protocol]}", fontsize=10)
            axis.set_xticks(list(design.levels))
            axis.grid(axis="y", color="0.92", linewidth=0.8)
            axis.set_axisbelow(True)
            if row == down - 1:
                axis.set_xlabel("mismatch: per cent of the unseen classes in the pool", fontsize=9)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(3, len(handles)), fontsize=8, frameon=False
        )
    counts = [len(pool_scores(design, lines, task, REFERENCE, design.pools()[0])) for task in design.tasks]
    seeds = f"{min(counts)} to {max(counts)}" if min(counts) != max(counts) else str(min(counts))
    figure.suptitle(f"{design.title} ({seeds} seeds)", fontsize=10)
    figure.supylabel("balanced accuracy x 100, minus labels only (95 % interval)", fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _half(interval: SeedInterval) -> float:
    return 0.0 if math.isnan(interval.high) else interval.high - interval.mean
