"""Whether a way is never worse than the reference by more than a margin: at no pool of no task.

All pools must hold, so that no correction is needed for their number (an intersection-union test): each has the lower
bound of its own two-sided 95 % interval above minus the margin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.study_controls import difference
from pipelines.study_design import REFERENCE, StudyDesign
from pipelines.study_statistics import SeedInterval

Line = Mapping[str, Any]
Outcome = Literal["shown", "refuted", "open"]
Pool = tuple[str, str, int]
"""Task, protocol and level."""


@dataclass(frozen=True)
class MarginVerdict:
    """The verdict on one way.

    Attributes:
        way: The way.
        margin: Points that it may be worse.
        outcome: `shown` if every pool holds, `refuted` if one is worse beyond doubt, else `open`.
        worst: Task, protocol and level of the smallest lower bound; None without a pair of two seeds.
        interval: The interval there.
    """

    way: str
    margin: float
    outcome: Outcome
    worst: Pool | None
    interval: SeedInterval | None


def judge_margin(
    way: str, margin: float, intervals: Mapping[tuple[str, str, int], SeedInterval | None]
) -> MarginVerdict:
    """Judge a way by the intervals of its difference to the reference.

    Args:
        way: The way.
        margin: Points that it may be worse.
        intervals: Interval by pool; None where fewer than two seeds are there.

    Examples:
        >>> pools = {("garments", "replace", 0): SeedInterval(2.0, 0.5, 3.5), ("garments", "add", 50): None}
        >>> judge_margin("prototype_match", 1.0, pools).outcome
        'open'
    """
    known = {pool: interval for pool, interval in intervals.items() if interval is not None}
    if not known:
        return MarginVerdict(way, margin, "open", None, None)
    worst = min(known, key=lambda pool: known[pool].low)
    outcome: Outcome = "open"
    if any(interval.high < -margin for interval in known.values()):
        outcome = "refuted"
    elif len(known) == len(intervals) and known[worst].low > -margin:
        outcome = "shown"
    return MarginVerdict(way, margin, outcome, worst, known[worst])


def check_margins(design: StudyDesign, lines: Sequence[Line]) -> list[MarginVerdict]:
    """Judge every way of `StudyDesign.margins` by the lines so far."""
    from pipelines.study_report import pool_scores

    verdicts = []
    for way, margin in design.margins.items():
        intervals: dict[Pool, SeedInterval | None] = {}
        for task in design.tasks:
            for protocol, level in design.pools():
                scores = (pool_scores(design, lines, task, name, (protocol, level)) for name in (way, REFERENCE))
                values = list(difference(*scores).values())
                intervals[task, protocol, level] = SeedInterval.of(values) if len(values) > 1 else None
        verdicts.append(judge_margin(way, margin, intervals))
    return verdicts


def margin_lines(verdicts: Sequence[MarginVerdict]) -> list[str]:
    """Return the lines of Markdown of some verdicts."""
    out = []
    for verdict in verdicts:
        text = f"**{verdict.way} is nowhere worse than {REFERENCE} by more than {verdict.margin:g} points: "
        text += f"{verdict.outcome}.**"
        if verdict.worst is not None:
            task, protocol, level = verdict.worst
            text += f" Smallest lower bound: {task}, {protocol} {level} %: {verdict.interval}."
        out += [text, ""]
    return out
