"""Active time of readings: the time between clips counts, a pause does not."""

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.reading_time import active_seconds, median_seconds
from heart2heart.schema.enums import EventKind


def _reading(clip: str, at: str, seconds: float | None, kind: EventKind = EventKind.LABEL) -> LabelEvent:
    return LabelEvent(clip, "", "A4C", "a", f"2026-11-28T{at}Z" if at else "", "page", kind=kind, seconds=seconds)


def test_active_seconds_by_hand() -> None:
    events = [
        _reading("c1", "12:00:00.000", 2.0),
        _reading("c2", "12:00:05.000", 3.0),  # two seconds between the clips
        _reading("c3", "13:00:00.000", 4.0, EventKind.GOLD),  # after a pause
        _reading("c4", "13:00:00.001", 0.5),  # of a grid: confirmed at once, the time was measured
        _reading("c5", "", 9000.0),  # a pause on the screen
        _reading("c6", "13:00:01.000", None),
        _reading("c7", "13:00:02.000", 1.0, EventKind.ADJUDICATION),
    ]
    assert active_seconds(events) == {"a": [300.0, 2.0, 5.0, 4.0, 0.5]}


def test_median_seconds_of_raters() -> None:
    assert median_seconds({"busy": [1.0] * 99, "careful": [9.0]}) == 5.0
    assert median_seconds({}) is None
