"""The study's tables and plot: accuracy against labels spent, and what each method gains over random."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heart2heart.utils import atomic_path
from pipelines.mismatch_scores import conclusion
from pipelines.study_statistics import SeedInterval

RoundLine = Mapping[str, Any]
Scores = dict[tuple[str, str, str], dict[int, dict[int, float]]]
"""Balanced accuracy x 100 by data, way and method, then labels asked, then seed."""

TITLES = {"fashion": "Fashion-MNIST (real images)", "hospitals": "Four hospitals (SYNTHETIC)"}


def scores_by_round(lines: Iterable[RoundLine]) -> Scores:
    """Sort the lines of results."""
    scores: Scores = {}
    for line in lines:
        of = scores.setdefault((line["data"], line["way"], line["by"]), {})
        of.setdefault(line["asked"], {})[line["seed"]] = 100 * line["balanced_accuracy"]
    return scores


def gains(scores: Scores, data: str, way: str, by: str, base: tuple[str, str] | None = None) -> list[float]:
    """Return, seed by seed, the mean over the rounds after the first of a method less its base.

    Args:
        scores: The scores.
        data: Which data set.
        way: Of the method.
        by: The method.
        base: Way and method that it is held against; random by the same way unless told otherwise.
    """
    own, base_scores = scores[data, way, by], scores.get((data, *(base or (way, "random"))), {})
    counts = [count for count in sorted(own)[1:] if count in base_scores]
    seeds = [
        seed for seed in sorted(own[min(own)]) if all(seed in each[c] for c in counts for each in (own, base_scores))
    ]
    return [
        float(np.mean([own[count][seed] - base_scores[count][seed] for count in counts])) for seed in seeds if counts
    ]


def tables(lines: Sequence[RoundLine]) -> str:
    """Return the results as Markdown, a table a data set."""
    scores, out = scores_by_round(lines), list[str]()
    for data in dict.fromkeys(line["data"] for line in lines):
        keys = [key for key in scores if key[0] == data]
        counts = sorted({count for key in keys for count in scores[key]})
        heads = " | ".join(f"{count} labels" for count in counts)
        out += [
            f"### {TITLES[data]}",
            "",
            "Balanced accuracy x 100 of test clips, mean over seeds (95 % interval). Gains are paired by seed and",
            "averaged over the rounds after the first: over `random` with the same training, and over labels only with",
            "the same queue method.",
            "",
            f"| training | method | {heads} | gain over random | | gain over labels only | |",
            "|" + "---|" * (len(counts) + 6),
        ]
        for _, way, by in sorted(
            keys, key=lambda key: (key[1] != "labels_only", key[2] != "random", -_last(scores[key]))
        ):
            cells = (scores[data, way, by].get(count) for count in counts)
            shown = " | ".join(
                "" if cell is None else SeedInterval.of(list(cell.values())).per_cent() for cell in cells
            )
            over_random = [] if by == "random" else gains(scores, data, way, by)
            over_labels = [] if way == "labels_only" else gains(scores, data, way, by, ("labels_only", by))
            out.append(f"| {way} | {by} | {shown} | {_gain(over_random)} | {_gain(over_labels)} |")
        out.append("")
    return "\n".join(out)


def _last(of: Mapping[int, Mapping[int, float]]) -> float:
    return float(np.mean(list(of[max(of)].values())))


def _gain(values: list[float]) -> str:
    if not values:
        return " | "
    interval = SeedInterval.of(values)
    return f"{interval} | {conclusion(interval)}"


def plot(lines: Sequence[RoundLine], path: Path) -> None:
    """Draw, for each data set, every method in its own panel beside random, as one PNG.

    Args:
        lines: The results.
        path: The picture.
    """
    from matplotlib.figure import Figure

    scores = scores_by_round(lines)
    data = list(dict.fromkeys(line["data"] for line in lines))
    methods = [by for by in dict.fromkeys(line["by"] for line in lines) if by != "random"] or ["random"]
    across = min(7, len(methods))
    down = -(-len(methods) // across)
    figure = Figure(figsize=(2.1 * across + 0.6, 2.2 * down * len(data) + 0.8), dpi=100, layout="constrained")
    parts = figure.subfigures(len(data), 1, squeeze=False)[:, 0]
    for name, part in zip(data, parts, strict=True):
        part.suptitle(TITLES[name], fontsize=10)
        axes = part.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axis in axes.flat[len(methods) :]:
            axis.set_visible(False)
        for by, axis in zip(methods, axes.flat, strict=False):
            for way, colour in (("labels_only", "#1f4e79"), (None, "#b3541e")):
                for (where, method_way, method), of in scores.items():
                    if (
                        where != name
                        or method not in (by, "random")
                        or (method_way == "labels_only") != (way is not None)
                    ):
                        continue
                    if way is None and (name, method_way, by) not in scores:
                        continue
                    _line(axis, of, colour, chosen=method == by)
            axis.set_title(by, fontsize=8)
            axis.tick_params(labelsize=7)
            axis.grid(alpha=0.3)
        part.supxlabel("labels asked", fontsize=8)
        part.supylabel("balanced accuracy, %", fontsize=8)
    figure.text(0.995, 0.995, "solid: method; dashed: random; blue: labels only; orange: with Fix-A-Step; band: seeds",
                ha="right", va="top", fontsize=7)  # fmt: skip
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _line(axis: Any, of: Mapping[int, Mapping[int, float]], colour: str, *, chosen: bool) -> None:
    counts = sorted(of)
    values = [list(of[count].values()) for count in counts]
    means = [float(np.mean(each)) for each in values]
    axis.plot(counts, means, color=colour, linestyle="-" if chosen else "--", linewidth=1.4, alpha=1 if chosen else 0.6)
    if chosen:
        low, high = [min(each) for each in values], [max(each) for each in values]
        axis.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
