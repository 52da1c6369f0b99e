"""The study's tables and plot: means over seeds with intervals, and differences paired by seed.

python -m pipelines.mismatch_report docs/results/mismatch_rules.jsonl --from-seed 10
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from heart2heart.errors import MissingInputError
from heart2heart.utils import atomic_path
from pipelines.command_line import run
from pipelines.mismatch_scores import (
    ResultLine,
    Scores,
    base_method,
    conclusion,
    fix_a_step_counterpart,
    level_tables,
    paired_differences,
    scores_by_seed,
)
from pipelines.study_statistics import SeedInterval


def tables(lines: Sequence[ResultLine]) -> str:
    """Return the results as Markdown: one table of scores and one of differences for each number of labels."""
    scores = scores_by_seed(lines)
    out: list[str] = []
    for labels in sorted({key[0] for key in scores}):
        levels = sorted({key[2] for key in scores if key[0] == labels})
        ways = list(dict.fromkeys(line["way"] for line in lines if line["labels"] == labels))
        ways.sort(key=lambda way: way.split("+")[0] != "labels_only")
        seeds = max(len(values) for key, values in scores.items() if key[0] == labels)
        heads = " | ".join(f"{level} %" for level in levels)
        out += [
            f"### {labels} labels a class, {seeds} seeds",
            "",
            "Balanced accuracy x 100 on the test images, mean over seeds (95 % interval), by mismatch.",
            "",
            f"| way | {heads} | conflict |",
            "|" + "---|" * (len(levels) + 2),
        ]
        for way in ways:
            cells = [scores.get((labels, way, level)) for level in levels]
            shown = " | ".join(
                "" if cell is None else SeedInterval.of(list(cell.values())).per_cent() for cell in cells
            )
            out.append(f"| {way} | {shown} | {_conflict(lines, labels, way)} |")
        lost = [line for line in lines if line["labels"] == labels and line["balanced_accuracy"] is None]
        if lost:
            out += ["", f"Diverged, and left out: {', '.join(sorted(_name(line) for line in lost))}."]
        out += ["", *_difference_table(scores, labels, ways), *level_tables(lines, scores, labels, ways), ""]
    return "\n".join(out)


def _name(line: ResultLine) -> str:
    return f"{line['way']} at {line['level']} % with seed {line['seed']}"


def _difference_table(scores: Scores, labels: int, ways: Sequence[str]) -> list[str]:
    rules = {way: peer for way in ways if (peer := fix_a_step_counterpart(way, ways))}
    out = [
        'Differences paired by seed and averaged over the levels; "helps" and "hurts" if the interval excludes 0.',
        "",
        f"| way | minus its base | | {'minus the rule of Fix-A-Step | | ' if rules else ''}minus labels only | |",
        "|" + "---|" * (7 if rules else 5),
    ]
    for way in ways:
        cells = []
        for base in (base_method(way), *([rules.get(way)] if rules else []), "labels_only"):
            values = paired_differences(scores, labels, way, base) if base not in (None, way) else []
            interval = SeedInterval.of(values) if values else None
            cells += ["" if interval is None else str(interval), "" if interval is None else conclusion(interval)]
        if any(cells):
            out.append(f"| {way} | {' | '.join(cells)} |")
    return out


def _conflict(lines: Sequence[ResultLine], labels: int, way: str) -> str:
    rates = [
        line["conflict_rate"]
        for line in lines
        if line["labels"] == labels and line["way"] == way and line["conflict_rate"] is not None
    ]
    return f"{100 * float(np.mean(rates)):.0f} %" if rates else ""


def plot(lines: Sequence[ResultLine], path: Path, title: str) -> None:
    """Draw each base method and its combinations against the level of mismatch, as one PNG.

    Args:
        lines: The results.
        path: The picture.
        title: Its heading.
    """
    from matplotlib.figure import Figure

    scores = scores_by_seed(lines)
    labels = min(key[0] for key in scores)
    ways = list(dict.fromkeys(line["way"] for line in lines if line["labels"] == labels))
    methods = list(dict.fromkeys(way.split("+")[0] for way in ways if way != "labels_only")) or ["labels_only"]
    across = min(4, len(methods))
    down = -(-len(methods) // across)
    figure = Figure(figsize=(3.6 * across, 2.9 * down + 0.6), dpi=100, layout="constrained")
    axes = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    floor = [
        value
        for (count, way, _), values in scores.items()
        if (count, way) == (labels, "labels_only")
        for value in values.values()
    ]
    for axis, method in zip(axes, methods, strict=False):
        if floor:
            axis.axhline(float(np.mean(floor)), color="0.55", linestyle=":", linewidth=1.4, label="labels only")
        drawn = [float(np.mean(floor))] if floor else []
        for index, way in enumerate(way for way in ways if way.split("+")[0] == method):
            levels = sorted(key[2] for key in scores if key[:2] == (labels, way))
            means = [SeedInterval.of(list(scores[labels, way, level].values())) for level in levels]
            half = [each.high - each.mean if not np.isnan(each.high) else 0.0 for each in means]
            drawn += [each.mean for each in means]
            axis.errorbar(
                np.array(levels) + 1.5 * index, [each.mean for each in means], yerr=half, capsize=2,
                marker="osD^vPX"[index % 7], markersize=4, linewidth=1.2,
                label=way.removeprefix(f"{method}+") if "+" in way else "alone",
            )  # fmt: skip
        axis.set_title(method, fontsize=10)
        axis.set_xticks(sorted({key[2] for key in scores}))
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


def main(
    results: Annotated[Path, typer.Argument(help="results.jsonl of a study.")],
    from_seed: Annotated[int, typer.Option(help="First seed to count.")] = 0,
    to_seed: Annotated[int | None, typer.Option(help="Last seed to count. All that follow by default.")] = None,
) -> None:
    """Print the tables of a study that was run before, or of some of its seeds."""
    if not results.is_file():
        raise MissingInputError("no such file", where=results, remedy="Name the results.jsonl of pipelines.mismatch")
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    print(tables([line for line in lines if from_seed <= line["seed"] <= (to_seed if to_seed is not None else 2**31)]))


if __name__ == "__main__":
    run(main)
