"""The mismatch study at each level: effect of additions, cost of foreign frames, share of frames that pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.mismatch_scores import Interval, Line, Scores, base_of, differences


def level_tables(lines: Sequence[Line], found: Scores, labels: int, ways: Sequence[str]) -> list[str]:
    """Return the tables that a study of several levels has beside its averages, as lines of Markdown."""
    levels = sorted({key[2] for key in found if key[0] == labels})
    if len(levels) < 2:
        return []
    around = [(way, str(base_of(way))) for way in ways if base_of(way) in ways]
    other = [(way, "labels_only") for way in ways if "labels_only" in ways and way != "labels_only"]
    return [
        *_differences(found, labels, around, levels, "The same differences from the base, at each level."),
        *_differences(found, labels, other, levels, "Minus labels only, at each level."),
        *_cost(lines, found, labels, ways, levels),
    ]


def _differences(
    found: Scores, labels: int, pairs: Sequence[tuple[str, str]], levels: Sequence[int], title: str
) -> list[str]:
    if not pairs:
        return []
    out = ["", title, "", f"| way | {' | '.join(f'{level} %' for level in levels)} |", "|" + "---|" * (len(levels) + 1)]
    for way, base in pairs:
        cells = []
        for level in levels:
            here = {key: values for key, values in found.items() if key[2] == level or key[1] == "labels_only"}
            values = differences(here, labels, way, base)
            cells.append(str(Interval.of(values)) if values else "")
        out.append(f"| {way} | {' | '.join(cells)} |")
    return out


def _cost(lines: Sequence[Line], found: Scores, labels: int, ways: Sequence[str], levels: Sequence[int]) -> list[str]:
    """Return each way's score at the highest level minus the score at the lowest, and the share of frames that pass."""
    low, high = levels[0], levels[-1]
    out = [
        "", f"Cost of foreign frames: the score at {high} % minus the score at {low} %. The last two columns show the",
        "share of the pool's frames that passed the threshold, mean over steps and seeds.", "",
        f"| way | {high} % minus {low} % | passed at {low} % | passed at {high} % |", "|---|---|---|---|",
    ]  # fmt: skip
    for way in ways:
        one, other = found.get((labels, way, high), {}), found.get((labels, way, low), {})
        values = [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
        if values:
            passed = " | ".join(_passed(lines, labels, way, level) for level in (low, high))
            out.append(f"| {way} | {Interval.of(values)} | {passed} |")
    return out if len(out) > 6 else []


def _passed(lines: Sequence[Line], labels: int, way: str, level: int) -> str:
    rates = [
        line["pseudo_label_rate"]
        for line in lines
        if (line["labels"], line["way"], line["level"]) == (labels, way, level)
        and line.get("pseudo_label_rate") is not None
    ]
    return f"{100 * float(np.mean(rates)):.1f} %" if rates else ""
