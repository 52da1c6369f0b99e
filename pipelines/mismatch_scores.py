"""Scores of the mismatch study: intervals over seeds, differences paired by seed, and tables level by level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from heart2heart.training.gradient_rules import GRADIENT_RULES
from pipelines.mismatch_variants import parse_variant
from pipelines.study_statistics import SeedInterval

ResultLine = Mapping[str, Any]
Scores = dict[tuple[int, str, int], dict[int, float]]
"""Balanced accuracy x 100 by labels, way and level, then seed."""


def base_method(way: str) -> str | None:
    """Return the variant to compare with a variant that has an addition; None for a bare method."""
    method, *around = way.split("+")
    return method if around else None


def fix_a_step_counterpart(way: str, ways: Iterable[str]) -> str | None:
    """Return which of `ways` is as `way` but for Fix-A-Step's rule; None where `way` has no other rule."""
    if not GRADIENT_RULES.keys() & set(way.split("+")):
        return None
    method, around = parse_variant(way)
    around["fix_a_step"]["gradient"] = "fix_a_step"
    same = (method, {"mixing": False} | around["fix_a_step"])
    for other in ways:
        name, settings = parse_variant(other)
        if other != way and (name, {"mixing": False} | settings["fix_a_step"]) == same and len(settings) == len(around):
            return other
    return None


def scores_by_seed(lines: Iterable[ResultLine]) -> Scores:
    """Return balanced accuracy x 100 by labels, way and level, then seed; runs that diverged have none."""
    scores: Scores = {}
    for line in lines:
        if line["balanced_accuracy"] is None:
            continue
        key = (line["labels"], line["way"], line["level"])
        scores.setdefault(key, {})[line["seed"]] = 100 * line["balanced_accuracy"]
    return scores


def paired_differences(scores: Scores, labels: int, way: str, base: str) -> list[float]:
    """Return, seed by seed, the mean over the levels of `way` less `base`; only pairs that both have."""
    by_seed: dict[int, list[float]] = {}
    for (count, name, level), values in scores.items():
        if count == labels and name == way:
            # Labels only reads no pool, so its one run a seed stands beside every level.
            other = next(
                (there for key, there in scores.items() if key[:2] == (labels, base) and base == "labels_only"),
                scores.get((labels, base, level), {}),
            )
            for seed in values.keys() & other.keys():
                by_seed.setdefault(seed, []).append(values[seed] - other[seed])
    return [float(np.mean(by_seed[seed])) for seed in sorted(by_seed)]


def conclusion(interval: SeedInterval) -> str:
    """Return `helps`, `hurts` or `not shown`."""
    if interval.low > 0:
        return "helps"
    return "hurts" if interval.high < 0 else "not shown"


def level_tables(lines: Sequence[ResultLine], scores: Scores, labels: int, ways: Sequence[str]) -> list[str]:
    """Return the tables that a study of several levels has beside its averages, as lines of Markdown."""
    levels = sorted({key[2] for key in scores if key[0] == labels})
    if len(levels) < 2:
        return []
    around = [(way, str(base_method(way))) for way in ways if base_method(way) in ways]
    other = [(way, "labels_only") for way in ways if "labels_only" in ways and way != "labels_only"]
    return [
        *_difference_by_level(scores, labels, around, levels, "The same differences from the base, at each level."),
        *_difference_by_level(scores, labels, other, levels, "Minus labels only, at each level."),
        *_mismatch_cost(lines, scores, labels, ways, levels),
    ]


def _difference_by_level(
    scores: Scores, labels: int, pairs: Sequence[tuple[str, str]], levels: Sequence[int], title: str
) -> list[str]:
    if not pairs:
        return []
    out = ["", title, "", f"| way | {' | '.join(f'{level} %' for level in levels)} |", "|" + "---|" * (len(levels) + 1)]
    for way, base in pairs:
        cells = []
        for level in levels:
            here = {key: values for key, values in scores.items() if key[2] == level or key[1] == "labels_only"}
            values = paired_differences(here, labels, way, base)
            cells.append(str(SeedInterval.of(values)) if values else "")
        out.append(f"| {way} | {' | '.join(cells)} |")
    return out


def _mismatch_cost(
    lines: Sequence[ResultLine], scores: Scores, labels: int, ways: Sequence[str], levels: Sequence[int]
) -> list[str]:
    """Return each way's score at the highest level minus the score at the lowest, and the share of frames that pass."""
    low, high = levels[0], levels[-1]
    out = [
        "", f"Cost of foreign frames: the score at {high} % minus the score at {low} %. The last two columns show the",
        "share of the pool's frames that passed the threshold, mean over steps and seeds.", "",
        f"| way | {high} % minus {low} % | passed at {low} % | passed at {high} % |", "|---|---|---|---|",
    ]  # fmt: skip
    for way in ways:
        one, other = scores.get((labels, way, high), {}), scores.get((labels, way, low), {})
        values = [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
        if values:
            passed = " | ".join(_pass_rate(lines, labels, way, level) for level in (low, high))
            out.append(f"| {way} | {SeedInterval.of(values)} | {passed} |")
    return out if len(out) > 6 else []


def _pass_rate(lines: Sequence[ResultLine], labels: int, way: str, level: int) -> str:
    rates = [
        line["pseudo_label_rate"]
        for line in lines
        if (line["labels"], line["way"], line["level"]) == (labels, way, level)
        and line.get("pseudo_label_rate") is not None
    ]
    return f"{100 * float(np.mean(rates)):.1f} %" if rates else ""
