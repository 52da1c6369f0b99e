"""Label events refuse contradictions; a rater takes back only what the same rater said."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.events import LabelEvent, active_events, is_time
from heart2heart.schema.enums import EventKind

EVENT = LabelEvent("c1", "", "A4C", "r1", "2020-01-01T00:00:00Z", "page")


def test_identifier_of_a_plain_label_is_that_of_schema_1() -> None:
    # computed with the code of schema 1
    assert EVENT.identifier == "5a62842b06604c3cf9506e4ca3a975d5c20615bcf1274572f8b07f824e346d5e"
    assert replace(EVENT, seconds=3.5, confidence=1.0, frame_hash="f", suggestion="A2C").identifier == EVENT.identifier
    assert replace(EVENT, kind=EventKind.ADJUDICATION).identifier != EVENT.identifier


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"kind": "rumour"}, "unknown kind of label event 'rumour'"),
        ({"answer": "perhaps"}, "unknown answer 'perhaps'"),
        ({"view": "A9C"}, "unknown view 'A9C'"),
        ({"answer": "unusable"}, "must name a view if"),
        ({"view": ""}, "must name a view if"),
        ({"kind": "retraction", "view": "", "answer": ""}, "retraction must name the event"),
        ({"retracts": "x"}, "retraction must name the event"),
        ({"confidence": 1.1}, "between 0 and 1"),
        ({"confidence": float("nan")}, "between 0 and 1"),
        ({"seconds": -1.0}, "must be 0 or more"),
        ({"seconds": float("inf")}, "must be 0 or more"),
        ({"seconds": 1e300}, "must be 0 or more"),
    ],
)
def test_check_refuses_contradictions(changes: dict[str, Any], match: str) -> None:
    with pytest.raises((LabelError, UnknownNameError), match=match):
        replace(EVENT, **changes).check()


@pytest.mark.parametrize("changes", [{}, {"view": "", "answer": "unusable"}, {"view": "", "answer": "unsure"}])
def test_check_accepts_views_unusable_and_unsure(changes: dict[str, Any]) -> None:
    event = replace(EVENT, **changes)
    event.check()
    event.retraction("2020-01-01T00:00:01Z").check()
    assert event.value == (changes.get("answer") or "A4C")


def test_active_events_uncover_earlier_ones_after_a_retraction_by_the_rater() -> None:
    second = replace(EVENT, view="A2C", at="2020-01-01T00:00:01Z")
    other = replace(EVENT, rater="r2")
    back = second.retraction("2020-01-01T00:00:02Z")
    assert active_events([EVENT, second, other, back]) == [EVENT, other]
    assert active_events([EVENT, other, replace(back, retracts=other.identifier)]) == [EVENT, other]


@given(st.lists(st.booleans(), max_size=12))
def test_active_events_are_those_not_retracted(keep: list[bool]) -> None:
    events = [replace(EVENT, at=f"{index}") for index in range(len(keep))]
    back = [event.retraction("later") for event, kept in zip(events, keep, strict=True) if not kept]
    assert active_events(events + back) == [event for event, kept in zip(events, keep, strict=True) if kept]


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z", "2026-01-31 12:00"])
def test_is_time_takes_dates_of_the_calendar(text: str) -> None:
    assert is_time(text)


@pytest.mark.parametrize(
    "text", ["", "9999-99-99", "2026-02-30", "yesterday", "0001-01-01", "9999-12-31", "=1", "1" * 99]
)
def test_is_time_refuses_what_is_no_date(text: str) -> None:
    assert not is_time(text)
