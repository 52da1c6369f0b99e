"""How a hospital's files became scored frames, and why each of the others did not."""

from __future__ import annotations

from dataclasses import dataclass

from heart2heart.evaluate.schema import SiteSummary
from heart2heart.predictions import SiteInfo
from heart2heart.report.numbers import NOT_REPORTED, listed, plural

_WORDS = {
    "b_mode": "B-mode",
    "m_mode": "M-mode",
    "train": "used to train",
    "validation": "used to choose the weights (validation)",
    "unlabeled": "in the unlabeled training pool",
    "excluded": "excluded from the split",
}


@dataclass(frozen=True)
class Step:
    """One box of the flow.

    Attributes:
        title: What is counted.
        number: How many.
        left: Those that go no further, by reason.
        note: The patients, studies and clips that they come from, where known.
    """

    title: str
    number: int
    left: dict[str, int]
    note: str = ""


def inclusion(info: SiteInfo, scored: SiteSummary, unit: str = "patient") -> list[Step]:
    """Follow one hospital from files to scored frames; counts that were not reported give no box.

    Args:
        info: What was taken in.
        scored: What was scored.
        unit: What a cluster is.
    """
    steps = []
    if info.files:
        lost = {readable(status): number for status, number in sorted(info.files.items()) if status != "accepted"}
        steps.append(Step("Files offered", sum(info.files.values()), lost))
        steps.append(Step("Files accepted", info.files.get("accepted", 0), {}))
    stored = ", ".join(
        plural(number, word)
        for number, word in ((info.patients, "patient"), (info.studies, "study"), (info.clips, "clip"))
    )
    other = {readable(role): number for role, number in info.roles.items() if role != "test" and number}
    steps.append(Step("Frames in the store", info.frames, other, stored))
    outside = {f"outside the scored views ({view})": number for view, number in scored.outside.items()}
    left = outside | ({"without a label": scored.unlabeled} if scored.unlabeled else {})
    kept = f"{plural(scored.clusters, unit)}, {plural(scored.clips, 'clip')}"
    if scored.mixed_clips:
        kept += f"; {plural(scored.mixed_clips, 'clip')} more whose frames carry several views"
    steps.append(Step("Test frames", scored.frames + sum(left.values()), left))
    steps.append(Step("Test frames scored", scored.frames, {}, kept))
    return steps


def readable(code: str) -> str:
    """Turn a status, role or mode such as `excluded:not_ultrasound` into words."""
    if code in _WORDS:
        return _WORDS[code]
    kind, _, reason = code.partition(":")
    return f"{kind}: {reason.replace('_', ' ')}" if reason else kind.replace("_", " ")


def dates(info: SiteInfo) -> str:
    """Write the span of the (shifted) study dates."""
    known = [date for date in (info.date_from, info.date_to) if date]
    return " to ".join(dict.fromkeys(known)) or NOT_REPORTED


def words(values: tuple[str, ...]) -> str:
    """Join names, or say that there are none."""
    return listed(values) or NOT_REPORTED
