"""The tables of the carry-over study: a way a row, a hospital a column, mean and deviation over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.study_statistics import SeedInterval

BASE = "weak"
"""Way that the others are compared with."""

SOURCE = "A"
"""Hospital that trains, of the synthetic ones."""


def tables(lines: Sequence[Mapping[str, Any]], ways: Sequence[str]) -> str:
    """Return one table a task, as Markdown.

    Each cell is the mean balanced accuracy in per cent and its standard deviation over seeds. The difference is that
    of the mean over the hospitals from the way `weak`, paired by seed, with its 95 % interval.

    Args:
        lines: Lines of `results.jsonl`.
        ways: Ways in the order of the rows.
    """
    return "\n".join(
        part
        for unit in ("frames", "clips")
        for part in _unit_tables([line for line in lines if line["sites"]], ways, unit)
    )


def side_by_side(lines: Sequence[Mapping[str, Any]], ways: Sequence[str], unit: str = "frames") -> str:
    """Return one table of all tasks, as Markdown: for each task the mean over its held-out hospitals, and the gain.

    Each cell is mean and standard deviation over seeds, then the difference from the way `weak`, paired by seed, with
    its 95 % interval. The source of a task on synthetic hospitals is left out of the mean.

    Args:
        lines: Lines of `results.jsonl`.
        ways: Ways in the order of the rows.
        unit: `frames` or `clips`.
    """
    lines = [line for line in lines if line["sites"]]
    tasks = list(dict.fromkeys(line["task"] for line in lines))
    head = [cell for task in tasks for cell in (task, f"minus {BASE}")]
    out = [f"| way | {' | '.join(head)} |", "|" + "---|" * (len(head) + 1)]
    for way in ways:
        cells = []
        for task in tasks:
            rows = [_without_source(line) for line in lines if line["task"] == task]
            means, base = _means_by_seed(rows, way, unit), _means_by_seed(rows, BASE, unit)
            paired = [means[seed] - base[seed] for seed in sorted(means.keys() & base.keys())]
            cells.append(f"{_cell(list(means.values()))}, n = {len(means)}" if means else "")
            cells.append(str(SeedInterval.of(paired)) if paired and way != BASE else "")
        if any(cells):
            out.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(out)


def _without_source(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line without the hospital that trains; a task on real clips tests another one only."""
    sites = line["sites"]
    return {**line, "sites": {site: sites[site] for site in sites if len(sites) == 1 or site != SOURCE}}


def _unit_tables(lines: Sequence[Mapping[str, Any]], ways: Sequence[str], unit: str) -> list[str]:
    out: list[str] = []
    for task in sorted({line["task"] for line in lines}):
        rows = [line for line in lines if line["task"] == task]
        sites = sorted({site for line in rows for site in line["sites"]})
        out += [f"**{task}**, balanced accuracy by {unit[:-1]}, %", ""]
        out += [f"| way | seeds | {' | '.join(sites)} | mean | minus {BASE} |", "|" + "---|" * (len(sites) + 4)]
        base = _means_by_seed(rows, BASE, unit)
        for way in ways:
            means = _means_by_seed(rows, way, unit)
            if not means:
                continue
            cells = [_cell([100 * line["sites"][site][unit] for line in rows if line["way"] == way]) for site in sites]
            paired = [means[seed] - base[seed] for seed in sorted(means.keys() & base.keys())]
            difference = str(SeedInterval.of(paired)) if paired and way != BASE else ""
            overall = _cell(list(means.values()))
            out.append(f"| {way} | {len(means)} | {' | '.join(cells)} | {overall} | {difference} |")
        out.append("")
    return out


def _means_by_seed(rows: Sequence[Mapping[str, Any]], way: str, unit: str) -> dict[int, float]:
    """Return the mean over the hospitals, per cent, by seed."""
    return {
        line["seed"]: 100 * float(np.mean([score[unit] for score in line["sites"].values()]))
        for line in rows
        if line["way"] == way
    }


def _cell(values: Sequence[float]) -> str:
    """Return `87.1 ± 2.0`: mean and standard deviation over seeds."""
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"
