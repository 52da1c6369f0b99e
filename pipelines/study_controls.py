"""The preconditions of a study: controls whose outcome is known beforehand, and whether the runs learned at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipelines.study_design import LABEL_WAYS, REFERENCE, StudyDesign
from pipelines.study_statistics import SeedInterval

Line = Mapping[str, Any]
Outcome = Literal["holds", "fails", "open"]
CHANCE_MARGIN = 5.0
"""Points around chance within which shuffled labels must stay."""
LEARNED_MARGIN = 10.0
"""Points above chance that labels only must reach."""


@dataclass(frozen=True)
class Verdict:
    """One precondition of one task.

    Attributes:
        task: The task.
        name: The precondition.
        outcome: `holds`; `fails`; or `open` while the seeds so far show neither.
        sentence: What was measured and what is wanted.
    """

    task: str
    name: str
    outcome: Outcome
    sentence: str


def scores_of(lines: Iterable[Line], task: str, way: str, protocol: str, level: int = 0) -> dict[int, float]:
    """Return balanced accuracy x 100 by seed; runs that diverged have none."""
    run = (task, way, protocol, level)
    return {
        line["seed"]: 100 * line["balanced_accuracy"]
        for line in lines
        if (line["task"], line["way"], line["protocol"], line["level"]) == run and line["balanced_accuracy"] is not None
    }


def difference(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Return one less the other, of the seeds that both have."""
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}


def check_preconditions(design: StudyDesign, lines: Sequence[Line]) -> list[Verdict]:
    """Judge every precondition of every task by the lines so far.

    Args:
        design: The study.
        lines: Its finished lines.
    """
    return [verdict for task in design.tasks for verdict in _check_task(design, task, lines)]


def _check_task(design: StudyDesign, task: str, lines: Sequence[Line]) -> list[Verdict]:
    way, gain = design.controls.way, design.controls.gain
    protocol, level = design.pools()[0]
    own = [line for line in lines if line["task"] == task]
    without = {name: scores_of(own, task, name, protocol, level) for name in dict.fromkeys((REFERENCE, *design.ways))}
    without = {name: scores for name, scores in without.items() if name in LABEL_WAYS}
    chance = 100 / _classes(own) if own else math.nan
    pure, noise = scores_of(own, task, way, "pure"), scores_of(own, task, way, "noise")
    shuffled = scores_of(own, task, REFERENCE, "shuffled")
    return [
        *(_positive(task, way, name, difference(pure, scores), gain) for name, scores in without.items()),
        _negative(task, way, difference(noise, without[REFERENCE]), gain),
        _at_chance(task, list(shuffled.values()), chance),
        _learned(task, [score - chance for score in without[REFERENCE].values()]),
        _seen(task, own),
    ]


def _classes(lines: Sequence[Line]) -> int:
    return next((len(line["confusion"]) for line in lines if line.get("confusion")), 1)


def _positive(task: str, way: str, other: str, gains: Mapping[int, float], least: float) -> Verdict:
    name = f"positive control over {other}"
    rule = f"{way} with a pool of all labeled classes must gain {least:g} points or more over {other}"
    if not gains:
        return Verdict(task, name, "open", f"{rule}: no pair of runs yet")
    interval = SeedInterval.of(list(gains.values()))
    outcome: Outcome = "open"
    if interval.low > 0 and interval.mean >= least:
        outcome = "holds"
    elif interval.high < least:
        outcome = "fails"
    return Verdict(task, name, outcome, f"{rule}: {interval}, {_seeds(gains)}")


def _negative(task: str, way: str, gains: Mapping[int, float], margin: float) -> Verdict:
    rule = f"{way} with a pool of noise must not gain over {REFERENCE}"
    if not gains:
        return Verdict(task, "negative control", "open", f"{rule}: no pair of runs yet")
    interval = SeedInterval.of(list(gains.values()))
    outcome: Outcome = "fails" if interval.low > 0 else "holds" if interval.high < margin else "open"
    return Verdict(task, "negative control", outcome, f"{rule}: {interval}, {_seeds(gains)}")


def _at_chance(task: str, scores: Sequence[float], chance: float) -> Verdict:
    rule = f"{REFERENCE} with shuffled labels must stay within {CHANCE_MARGIN:g} points of chance"
    if not scores:
        return Verdict(task, "shuffled labels", "open", f"{rule}: no run yet")
    rule += f" ({chance:.1f})"
    interval = SeedInterval.of(scores)
    outcome: Outcome = "open"
    if interval.low > chance + CHANCE_MARGIN or interval.high < chance - CHANCE_MARGIN:
        outcome = "fails"
    elif chance - CHANCE_MARGIN <= interval.mean <= chance + CHANCE_MARGIN and len(scores) > 1:
        outcome = "holds"
    return Verdict(task, "shuffled labels", outcome, f"{rule}: {interval}, {_seeds(scores)}")


def _learned(task: str, gains: Sequence[float]) -> Verdict:
    rule = f"{REFERENCE} must lie {LEARNED_MARGIN:g} points above chance"
    if not gains:
        return Verdict(task, "learning happened", "open", f"{rule}: no run yet")
    interval = SeedInterval.of(gains)
    outcome: Outcome = "open"
    if interval.low > LEARNED_MARGIN:
        outcome = "holds"
    elif interval.high < LEARNED_MARGIN:
        outcome = "fails"
    return Verdict(task, "learning happened", outcome, f"{rule}: {interval}, {_seeds(gains)}")


def _seen(task: str, lines: Sequence[Line]) -> Verdict:
    rule = "every run with a pool must see the pool once"
    passes = [line["pool_passes"] for line in lines if line.get("pool")]
    if not passes:
        return Verdict(task, "the pool was seen", "open", f"{rule}: no run yet")
    least = float(np.min(passes))
    return Verdict(task, "the pool was seen", "holds" if least >= 1 else "fails", f"{rule}: at least {least:.1f} times")


def _seeds(values: Mapping[int, float] | Sequence[float]) -> str:
    return f"{len(values)} seed{'s' if len(values) != 1 else ''}"


def banner(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the lines of Markdown that stand on top of every table: what fails, and what is not shown yet."""
    failed = [verdict for verdict in verdicts if verdict.outcome == "fails"]
    undecided = [verdict for verdict in verdicts if verdict.outcome == "open"]
    out = [f"**A precondition fails.** {verdict.task}, {verdict.name}: {verdict.sentence}." for verdict in failed]
    if undecided:
        named = "; ".join(f"{verdict.task}, {verdict.name}" for verdict in undecided)
        out.append(f"Preconditions that are not shown yet: {named}.")
    if not out:
        out.append("Every precondition holds.")
    return [part for line in out for part in (line, "")]
