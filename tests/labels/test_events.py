"""Label events refuse contradictions; a rater takes back only what the same rater said."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind

SAID = LabelEvent("c1", "", "A4C", "r1", "2020-01-01T00:00:00Z", "page")


def test_a_plain_label_hashes_as_it_did_in_books_of_schema_1() -> None:
    # computed with the code of schema 1
    assert SAID.identifier == "5a62842b06604c3cf9506e4ca3a975d5c20615bcf1274572f8b07f824e346d5e"
    assert replace(SAID, seconds=3.5, confidence=1.0, frame_hash="f", suggestion="A2C").identifier == SAID.identifier
    assert replace(SAID, kind=EventKind.ADJUDICATION).identifier != SAID.identifier


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
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises((LabelError, UnknownNameError), match=match):
        replace(SAID, **changes).check()


@pytest.mark.parametrize("changes", [{}, {"view": "", "answer": "unusable"}, {"view": "", "answer": "unsure"}])
def test_what_may_be_said(changes: dict[str, Any]) -> None:
    said = replace(SAID, **changes)
    said.check()
    said.retraction("2020-01-01T00:00:01Z").check()
    assert said.value == (changes.get("answer") or "A4C")


def test_taking_back_uncovers_what_was_said_before_and_only_the_rater_can() -> None:
    second = replace(SAID, view="A2C", at="2020-01-01T00:00:01Z")
    other = replace(SAID, rater="r2")
    back = second.retraction("2020-01-01T00:00:02Z")
    assert active_events([SAID, second, other, back]) == [SAID, other]
    assert active_events([SAID, other, replace(back, retracts=other.identifier)]) == [SAID, other]


@given(st.lists(st.booleans(), max_size=12))
def test_what_stands_is_what_was_not_taken_back(keep: list[bool]) -> None:
    said = [replace(SAID, at=f"{index}") for index in range(len(keep))]
    back = [event.retraction("later") for event, kept in zip(said, keep, strict=True) if not kept]
    assert active_events(said + back) == [event for event, kept in zip(said, keep, strict=True) if kept]
