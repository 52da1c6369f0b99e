"""How long raters take for a reading, pauses left out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from statistics import median

from heart2heart.labels.events import LabelEvent, is_time
from heart2heart.schema.enums import EventKind

MAX_READING_S = 300.0
"""A longer time includes a pause, and counts as this one, seconds."""


def active_seconds(events: Iterable[LabelEvent]) -> dict[str, list[float]]:
    """Return the active time of each reading by rater, in order of time, seconds.

    The time of a reading is the larger of two: the time for which the clip was on the screen, and the time since the
    same rater's reading before, unless that was a pause. So time between clips counts too. Readings without a stated
    time, such as imported ones, are left out.

    Args:
        events: Active readings; decisions of adjudicators are left out.

    Examples:
        >>> readings = [LabelEvent(clip, "", "A4C", "a", f"2026-11-28T12:00:{at}Z", "page", seconds=2.0)
        ...             for clip, at in (("clip1", "10"), ("clip2", "15"))]
        >>> active_seconds(readings)
        {'a': [2.0, 5.0]}
    """
    by_rater: dict[str, list[LabelEvent]] = {}
    for event in events:
        if event.kind in (EventKind.LABEL, EventKind.GOLD) and event.seconds is not None:
            by_rater.setdefault(event.rater, []).append(event)
    times: dict[str, list[float]] = {}
    for rater, readings in sorted(by_rater.items()):
        previous: datetime | None = None
        for event in sorted(readings, key=lambda event: event.at):
            assert event.seconds is not None
            now = datetime.fromisoformat(event.at) if is_time(event.at) else None
            gap = _gap(previous, now)
            on_screen = min(event.seconds, MAX_READING_S)
            times.setdefault(rater, []).append(gap if on_screen < gap <= MAX_READING_S else on_screen)
            previous = now or previous
    return times


def _gap(previous: datetime | None, now: datetime | None) -> float:
    if previous is None or now is None or (previous.tzinfo is None) != (now.tzinfo is None):
        return 0.0
    return (now - previous).total_seconds()


def median_seconds(times: dict[str, list[float]]) -> float | None:
    """Return the median of the raters' own medians, so that one busy rater does not decide it; None without a time.

    Examples:
        >>> median_seconds({"a": [2.0, 4.0], "b": [10.0]})
        6.5
    """
    return median(median(values) for values in times.values()) if times else None
