"""Events of a clip that are no readings: their values are checked, they are appended, and readings do not see them."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.clip_events import (
    MAX_FRAME,
    MAX_NOTE,
    ClipEvent,
    gold_labels,
    handover_text,
    latest_values,
    marks_text,
    parse_handover,
    parse_marks,
)
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import ClipEventKind, EventKind

AT = "2026-11-28T12:00:00.000Z"


def _event(kind: ClipEventKind, value: str, rater: str = "reader 1", clip: str = "clip1") -> ClipEvent:
    return ClipEvent("" if kind == ClipEventKind.GOAL else clip, kind, rater, AT, value)


GOOD = {
    "quality": _event(ClipEventKind.QUALITY, "fair"),
    "quality withdrawn": _event(ClipEventKind.QUALITY, ""),
    "marks": _event(ClipEventKind.MARKS, '{"ed": [0, 30], "es": [12]}'),
    "note": _event(ClipEventKind.NOTE, "two lines\nof text"),
    "handover": _event(ClipEventKind.HANDOVER, handover_text("Reader 2", "")),
    "done": _event(ClipEventKind.HANDOVER_DONE, ""),
    "goal": _event(ClipEventKind.GOAL, "120"),
    "gold": _event(ClipEventKind.GOLD, "A4C"),
    "gold unusable": _event(ClipEventKind.GOLD, "unusable"),
    "example": _event(ClipEventKind.EXAMPLE, "PLAX"),
}
BAD = {
    "quality": (_event(ClipEventKind.QUALITY, "nice"), UnknownNameError, "unknown image quality 'nice'"),
    "marks of another form": (_event(ClipEventKind.MARKS, "[1]"), LabelError, "have the form"),
    "marks below 0": (_event(ClipEventKind.MARKS, '{"ed": [-1]}'), LabelError, "indices from 0"),
    "marks of a truth": (_event(ClipEventKind.MARKS, '{"ed": [true]}'), LabelError, "indices from 0"),
    "a frame of both": (_event(ClipEventKind.MARKS, '{"ed": [3], "es": [3]}'), LabelError, "frame 3 is marked as both"),
    "another phase": (_event(ClipEventKind.MARKS, '{"q": [3]}'), LabelError, "only ed and es"),
    "note": (_event(ClipEventKind.NOTE, "x" * (MAX_NOTE + 1)), LabelError, "at most 1,000 characters"),
    "a note with a bell": (_event(ClipEventKind.NOTE, "\a"), LabelError, "plain text"),
    "handover": (_event(ClipEventKind.HANDOVER, '{"to": ""}'), LabelError, "name the colleague"),
    "goal": (_event(ClipEventKind.GOAL, "-3"), LabelError, "a daily goal is a number"),
    "goal with a clip": (
        ClipEvent("clip1", ClipEventKind.GOAL, "a", AT, "3"),
        LabelError,
        "a daily goal is of no clip",
    ),
    "gold": (_event(ClipEventKind.GOLD, "A9C"), UnknownNameError, "unknown view 'A9C'"),
    "example": (_event(ClipEventKind.EXAMPLE, "unusable"), UnknownNameError, "unknown view"),
    "done": (_event(ClipEventKind.HANDOVER_DONE, "yes"), LabelError, "has no value"),
}


@pytest.mark.parametrize("name", GOOD)
def test_check_accepts_each_kind(name: str) -> None:
    GOOD[name].check()
    assert GOOD[name].identifier == ClipEvent(**vars(GOOD[name])).identifier


@pytest.mark.parametrize("name", BAD)
def test_check_refuses_a_value_that_does_not_fit(name: str) -> None:
    event, error, message = BAD[name]
    with pytest.raises(error, match=message):
        event.check()


@given(st.sets(st.integers(0, MAX_FRAME), max_size=20), st.sets(st.integers(0, MAX_FRAME), max_size=20))
def test_parse_marks_returns_what_was_marked(ed: set[int], es: set[int]) -> None:
    marks = {"ed": sorted(ed - es), "es": sorted(es - ed)}
    assert parse_marks(marks_text({name: marks[name] * 2 for name in marks})) == marks
    assert parse_marks("") == {"ed": [], "es": []}


@given(st.text())
def test_parse_marks_refuses_any_other_text_by_name(text: str) -> None:
    for parse in (parse_marks, parse_handover):
        with suppress(LabelError):
            assert text == "" or not parse(text)


def test_latest_values_takes_the_last_of_each_rater() -> None:
    quality = ClipEventKind.QUALITY
    events = [_event(quality, "good"), _event(quality, "poor", "reader 2"), _event(quality, "fair"),
              _event(ClipEventKind.NOTE, "blurred"), _event(quality, "good", clip="clip2"),
              _event(quality, "", clip="clip2")]  # fmt: skip
    assert latest_values(events, quality) == {"clip1": {"reader 2": "poor", "reader 1": "fair"}}
    assert latest_values(events, ClipEventKind.NOTE) == {"clip1": {"reader 1": "blurred"}}


def test_gold_labels_follow_the_last_event_of_a_clip() -> None:
    gold = ClipEventKind.GOLD
    events = [
        _event(gold, "A4C"),
        _event(gold, "A2C", "another"),
        _event(gold, "PLAX", clip="b"),
        _event(gold, "", clip="b"),
    ]
    assert gold_labels(events) == {"clip1": "A2C"}


def test_append_clip_events_keeps_them_apart_from_readings(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    events = list(GOOD.values())
    assert label_store.append_clip_events(events) == len(events)
    assert label_store.append_clip_events(events) == 0
    assert [event for _, event in label_store.clip_events()] == events
    assert [event for _, event in label_store.clip_events(3)] == events[3:]
    assert label_store.events() == []
    with pytest.raises(UnknownNameError):
        label_store.append_clip_events([_event(ClipEventKind.NOTE, "kept"), BAD["quality"][0]])
    assert len(label_store.clip_events()) == len(events)
    with (
        sqlite3.connect(label_store.path) as connection,
        pytest.raises(sqlite3.IntegrityError, match="events of clips are kept"),
    ):
        connection.execute("UPDATE clip_events SET value = 'good'")
    connection.close()


def test_stored_events_hide_readings_of_gold_clips_and_their_retraction(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label = LabelEvent("clip1", "", "A4C", "reader 1", AT, "page")
    gold = LabelEvent("clip2", "", "A2C", "reader 1", AT, "page", kind=EventKind.GOLD)
    label_store.append([label, gold, gold.retraction(AT), label.retraction(AT)])
    assert label_store.events() == [label, label.retraction(AT)]
    assert [entry.event for entry in label_store.stored_events(gold=True)] == [
        label, gold, gold.retraction(AT), label.retraction(AT)
    ]  # fmt: skip


def test_label_store_of_version_3_reads_as_before_and_gets_the_new_table(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label = LabelEvent("clip1", "", "A4C", "reader 1", AT, "page")
    label_store.append([label])
    with sqlite3.connect(label_store.path) as connection:
        connection.execute("DROP TABLE clip_events")
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    assert (label_store.events(), label_store.clip_events()) == ([label], [])
    label_store.append_clip_events([GOOD["note"]])
    assert label_store.events() == [label]
    assert [event for _, event in label_store.clip_events()] == [GOOD["note"]]
