"""The study's table and plot: means over seeds with intervals, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heart2heart.files import atomic_path
from heart2heart.learn.rules import RULES
from pipelines.mismatch_ways import parse_way

Line = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
Scores = dict[tuple[int, str, int], dict[int, float]]
"""Balanced accuracy x 100 by labels, way and level, then seed."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval of Student's t over seeds; NaN bounds for a single value."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Return the mean of `values`, at least one, and its interval."""
        numbers: Floats = np.asarray(values, np.float64)
        mean = float(numbers.mean())
        if len(numbers) < 2:
            return cls(mean, float("nan"), float("nan"))
        half = float(stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        """Return `87.1 (85.0 to 89.2)`."""
        return f"{self.mean:.1f}" if np.isnan(self.low) else f"{self.mean:.1f} ({self.low:.1f} to {self.high:.1f})"

    def per_cent(self) -> str:
        """Return the same for a value between 0 and 100, which an interval over few seeds may leave."""
        return str(replace(self, low=max(self.low, 0.0), high=min(self.high, 100.0)))


def base_of(way: str) -> str | None:
    """Return the way that one with something around it is held against; None for a bare method."""
    method, *around = way.split("+")
    return method if around else None


def rule_peer(way: str, ways: Iterable[str]) -> str | None:
    """Return which of `ways` is as `way` but for Fix-A-Step's rule; None where `way` has no other rule."""
    if not RULES.keys() & set(way.split("+")):
        return None
    method, around = parse_way(way)
    around["fix_a_step"]["gradient"] = "fix_a_step"
    same = (method, {"mixing": False} | around["fix_a_step"])
    for other in ways:
        name, settings = parse_way(other)
        if other != way and (name, {"mixing": False} | settings["fix_a_step"]) == same and len(settings) == len(around):
            return other
    return None


def scores(lines: Iterable[Line]) -> Scores:
    """Return balanced accuracy x 100 by labels, way and level, then seed; runs that diverged have none."""
    found: Scores = {}
    for line in lines:
        if line["balanced_accuracy"] is None:
            continue
        key = (line["labels"], line["way"], line["level"])
        found.setdefault(key, {})[line["seed"]] = 100 * line["balanced_accuracy"]
    return found


def differences(found: Scores, labels: int, way: str, base: str) -> list[float]:
    """Return, seed by seed, the mean over the levels of `way` less `base`; only pairs that both have."""
    by_seed: dict[int, list[float]] = {}
    for (count, name, level), values in found.items():
        if count == labels and name == way:
            # Labels only reads no pool, so its one run a seed stands beside every level.
            other = next(
                (there for key, there in found.items() if key[:2] == (labels, base) and base == "labels_only"),
                found.get((labels, base, level), {}),
            )
            for seed in values.keys() & other.keys():
                by_seed.setdefault(seed, []).append(values[seed] - other[seed])
    return [float(np.mean(by_seed[seed])) for seed in sorted(by_seed)]


def tables(lines: Sequence[Line]) -> str:
    """Return the results as Markdown: one table of scores and one of differences for each number of labels."""
    found = scores(lines)
    out: list[str] = []
    for labels in sorted({key[0] for key in found}):
        levels = sorted({key[2] for key in found if key[0] == labels})
        ways = list(dict.fromkeys(line["way"] for line in lines if line["labels"] == labels))
        ways.sort(key=lambda way: way.split("+")[0] != "labels_only")
        seeds = max(len(values) for key, values in found.items() if key[0] == labels)
        heads = " | ".join(f"{level} %" for level in levels)
        out += [
            f"### {labels} labels a class, {seeds} seeds",
            "",
            "Balanced accuracy x 100 on the test images, mean over seeds (95 % interval), by per cent of mismatch.",
            "",
            f"| way | {heads} | conflict |",
            "|" + "---|" * (len(levels) + 2),
        ]
        for way in ways:
            cells = [found.get((labels, way, level)) for level in levels]
            shown = " | ".join("" if cell is None else Interval.of(list(cell.values())).per_cent() for cell in cells)
            out.append(f"| {way} | {shown} | {_conflict(lines, labels, way)} |")
        lost = [line for line in lines if line["labels"] == labels and line["balanced_accuracy"] is None]
        if lost:
            out += ["", f"Diverged, and left out: {', '.join(sorted(_name(line) for line in lost))}."]
        out += ["", *_difference_table(found, labels, ways), *_level_table(found, labels, ways, levels), ""]
    return "\n".join(out)


def _name(line: Line) -> str:
    return f"{line['way']} at {line['level']} % with seed {line['seed']}"


def _difference_table(found: Scores, labels: int, ways: Sequence[str]) -> list[str]:
    rules = {way: peer for way in ways if (peer := rule_peer(way, ways))}
    out = [
        "Differences paired by seed and averaged over the levels; `helps` and `hurts` where the interval leaves out 0.",
        "",
        f"| way | less its base | | {'less the rule of Fix-A-Step | | ' if rules else ''}less labels only | |",
        "|" + "---|" * (7 if rules else 5),
    ]
    for way in ways:
        cells = []
        for base in (base_of(way), *([rules.get(way)] if rules else []), "labels_only"):
            values = differences(found, labels, way, base) if base not in (None, way) else []
            interval = Interval.of(values) if values else None
            cells += ["" if interval is None else str(interval), "" if interval is None else verdict(interval)]
        if any(cells):
            out.append(f"| {way} | {' | '.join(cells)} |")
    return out


def _level_table(found: Scores, labels: int, ways: Sequence[str], levels: Sequence[int]) -> list[str]:
    """Return what stands around a method less the method, level by level."""
    around = [way for way in ways if base_of(way) in ways]
    if len(levels) < 2 or not around:
        return []
    out = [
        "The same differences from the base, level by level.",
        "",
        f"| way | {' | '.join(f'{level} %' for level in levels)} |",
        "|" + "---|" * (len(levels) + 1),
    ]
    for way in around:
        cells = []
        for level in levels:
            here = {key: values for key, values in found.items() if key[2] == level or key[1] == "labels_only"}
            values = differences(here, labels, way, str(base_of(way)))
            cells.append(str(Interval.of(values)) if values else "")
        out.append(f"| {way} | {' | '.join(cells)} |")
    return ["", *out]


def verdict(interval: Interval) -> str:
    """Return `helps`, `hurts` or `not shown`."""
    if interval.low > 0:
        return "helps"
    return "hurts" if interval.high < 0 else "not shown"


def _conflict(lines: Sequence[Line], labels: int, way: str) -> str:
    rates = [
        line["conflict_rate"]
        for line in lines
        if line["labels"] == labels and line["way"] == way and line["conflict_rate"] is not None
    ]
    return f"{100 * float(np.mean(rates)):.0f} %" if rates else ""


def plot(lines: Sequence[Line], path: Path, title: str) -> None:
    """Draw each base method and what stands around it against the level of mismatch, as one PNG.

    Args:
        lines: The results.
        path: The picture.
        title: Its heading.
    """
    from matplotlib.figure import Figure

    found = scores(lines)
    labels = min(key[0] for key in found)
    ways = list(dict.fromkeys(line["way"] for line in lines if line["labels"] == labels))
    methods = list(dict.fromkeys(way.split("+")[0] for way in ways if way != "labels_only")) or ["labels_only"]
    across = min(4, len(methods))
    down = -(-len(methods) // across)
    figure = Figure(figsize=(3.6 * across, 2.9 * down + 0.6), dpi=100, layout="constrained")
    axes = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    floor = [
        value
        for (count, way, _), values in found.items()
        if (count, way) == (labels, "labels_only")
        for value in values.values()
    ]
    for axis, method in zip(axes, methods, strict=False):
        if floor:
            axis.axhline(float(np.mean(floor)), color="0.55", linestyle=":", linewidth=1.4, label="labels only")
        drawn = [float(np.mean(floor))] if floor else []
        for place, way in enumerate(way for way in ways if way.split("+")[0] == method):
            levels = sorted(key[2] for key in found if key[:2] == (labels, way))
            means = [Interval.of(list(found[labels, way, level].values())) for level in levels]
            half = [each.high - each.mean if not np.isnan(each.high) else 0.0 for each in means]
            drawn += [each.mean for each in means]
            axis.errorbar(
                np.array(levels) + 1.5 * place, [each.mean for each in means], yerr=half, capsize=2,
                marker="osD^vPX"[place % 7], markersize=4, linewidth=1.2,
                label=way.removeprefix(f"{method}+") if "+" in way else "alone",
            )  # fmt: skip
        axis.set_title(method, fontsize=10)
        axis.set_xticks(sorted({key[2] for key in found}))
        # The means set the limits, since an interval of two seeds may be wider than all scores; room for the legend.
        reach = max(6.0, max(drawn) - min(drawn))
        axis.set_ylim(min(drawn) - 1.2 * reach, max(drawn) + 0.6 * reach)
        axis.legend(fontsize=7, frameon=False, loc="lower left", ncols=2)
    for axis in axes[len(methods) :]:
        axis.set_axis_off()
    figure.suptitle(title, fontsize=11)
    figure.supxlabel("mismatch of the unlabeled classes, per cent", fontsize=9)
    figure.supylabel("balanced accuracy x 100, 95 % interval over seeds", fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
