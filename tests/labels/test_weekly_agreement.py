"""Agreement of a rater by week: counted by hand, and Gwet's AC1 by its definition."""

import pytest

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.weekly_agreement import iso_week, weekly_agreement
from heart2heart.schema.enums import EventKind, LabelAnswer

FIRST, SECOND = "2026-11-20T12:00:00.000Z", "2026-11-27T12:00:00.000Z"


def _reading(clip: str, rater: str, view: str, at: str, kind: EventKind = EventKind.LABEL) -> LabelEvent:
    answer = LabelAnswer.VIEW if view else LabelAnswer.UNSURE
    return LabelEvent(clip, "", view, rater, at, "page", kind=kind, answer=answer)


def test_iso_week_of_times_and_of_none() -> None:
    assert [iso_week(at) for at in (FIRST, SECOND, "2027-01-01", "")] == ["2026-W47", "2026-W48", "2026-W53", ""]


def test_weekly_agreement_by_the_definition_of_gwet() -> None:
    pairs = [("A4C", "A4C"), ("A4C", "A4C"), ("A4C", "A2C"), ("PLAX", "PLAX")]
    events = [_reading(f"c{index}", "a", own, FIRST) for index, (own, _) in enumerate(pairs)]
    events += [_reading(f"c{index}", "b", other, SECOND) for index, (_, other) in enumerate(pairs)]
    events += [_reading("c9", "a", "A4C", SECOND), _reading("c9", "b", "", SECOND),
               _reading("c2", "z", "A4C", SECOND, EventKind.ADJUDICATION)]  # fmt: skip
    own, other = weekly_agreement(events, {f"c{index}": f"s{index // 2}" for index in range(4)}, replicates=200)
    assert (own.rater, own.week, own.pairs, own.same) == ("a", "2026-W47", 4, 3)
    assert (other.rater, other.week) == ("b", "2026-W48")
    shares = {"A4C": 5 / 8, "A2C": 1 / 8, "PLAX": 2 / 8}
    by_chance = sum(share * (1 - share) for share in shares.values()) / 2
    assert own.value == pytest.approx((3 / 4 - by_chance) / (1 - by_chance))
    assert own.low is not None
    assert own.high is not None
    assert own.value is not None
    assert own.low <= own.value <= own.high
    assert weekly_agreement(events, {}, replicates=200)[0].value == own.value


def test_weekly_agreement_of_one_study_has_no_interval_and_of_one_value_is_full() -> None:
    events = [_reading(clip, rater, "A4C", FIRST) for clip in ("c1", "c2") for rater in "ab"]
    first, _ = weekly_agreement(events, {"c1": "s", "c2": "s"})
    assert (first.value, first.low, first.high) == (1.0, None, None)
    assert weekly_agreement([], {}) == []
