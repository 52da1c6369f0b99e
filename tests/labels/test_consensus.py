"""The consensus rules, by hand and by property."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import UnknownNameError
from heart2heart.labels.consensus import consensus_labels, count_labels, frame_labels
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.testing.stores import random_store

FRAMES = pa.table({"frame": ["c1:0000", "c1:0001", "c2:0000"], "clip": ["c1", "c1", "c2"]})


def _label_event(clip: str, view: str, rater: str = "r1", frame: str = "") -> LabelEvent:
    return LabelEvent(clip, frame, view, rater, "", "test")


def test_frame_labels_take_the_clip_label_unless_the_frame_has_one() -> None:
    events = [_label_event("c1", "A4C"), _label_event("c1", "A2C", frame="c1:0001")]
    assert frame_labels(events, FRAMES) == {"c1:0000": "A4C", "c1:0001": "A2C"}


def test_consensus_labels_latest_takes_the_last_reading() -> None:
    events = [_label_event("c1", "A4C", "r1"), _label_event("c1", "A2C", "r2"), _label_event("c1", "PLAX", "r1")]
    assert frame_labels(events, FRAMES, "latest")["c1:0000"] == "PLAX"


@pytest.mark.parametrize(
    ("values", "unanimous", "majority"),
    [
        (["A4C", "A4C"], "A4C", "A4C"),
        (["A4C", "A2C"], None, None),
        (["A4C", "A2C", "A4C"], None, "A4C"),
        (["A4C", "A2C", "PLAX", "A4C"], None, None),
    ],
)
def test_consensus_labels_by_hand(values: list[str], unanimous: str | None, majority: str | None) -> None:
    events = [_label_event("c1", view, f"r{index}") for index, view in enumerate(values)]
    assert frame_labels(events, FRAMES, "unanimous").get("c1:0000") == unanimous
    assert frame_labels(events, FRAMES, "majority").get("c1:0000") == majority


@given(st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.sampled_from(["PLAX", "A4C"])), max_size=12))
def test_consensus_labels_majority_counts_last_readings(readings: list[tuple[str, str]]) -> None:
    votes = Counter(dict(readings).values())
    expected = next((view for view, count in votes.items() if 2 * count > sum(votes.values())), None)
    events = [_label_event("c2", view, rater) for rater, view in readings]
    assert frame_labels(events, FRAMES, "majority").get("c2:0000") == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # kind, rater, word; expected under single, majority, adjudicated, latest
        ([("label", "a", "A4C")], ("A4C", "A4C", "A4C", "A4C")),
        ([("label", "a", "A4C"), ("label", "b", "A2C")], ("A4C", None, None, "A2C")),
        (
            [("label", "a", "A4C"), ("label", "b", "A2C"), ("adjudication", "c", "A3C")],
            ("A4C", None, "A3C", "A3C"),
        ),
        ([("label", "a", "A4C"), ("label", "b", "unsure")], ("A4C", "A4C", "A4C", "A4C")),
        ([("label", "a", "A4C"), ("label", "a", "unsure")], (None, None, None, None)),
        ([("label", "a", "unsure"), ("label", "b", "unusable")], ("unusable",) * 4),
        ([("label", "a", "A4C"), ("label", "b", "unusable"), ("label", "c", "unusable")],
         ("A4C", "unusable", None, "unusable")),
        ([("label", "a", "A4C"), ("label", "b", "A2C"), ("adjudication", "c", "unsure")], ("A4C", None, None, "A2C")),
        ([("adjudication", "c", "A3C")], (None, None, "A3C", "A3C")),
    ],
)  # fmt: skip
def test_consensus_labels_of_readings_and_adjudications(
    answers: list[tuple[str, str, str]], expected: tuple[str | None, ...]
) -> None:
    events = [
        LabelEvent("c1", "", "", rater, "", "test", kind=EventKind(kind), answer=LabelAnswer(word))
        if word in ("unsure", "unusable")
        else LabelEvent("c1", "", word, rater, "", "test", kind=EventKind(kind))
        for kind, rater, word in answers
    ]
    rules = ("single", "majority", "adjudicated", "latest")
    assert tuple(consensus_labels(events, rule).get("c1") for rule in rules) == expected


def test_consensus_labels_ignore_retracted_events() -> None:
    events = [_label_event("c1", "A4C"), _label_event("c1", "A2C", "r2")]
    assert consensus_labels([*events, events[1].retraction("later")], "unanimous") == {"c1": "A4C"}
    assert consensus_labels([events[0], events[0].retraction("later")], "latest") == {}


def test_frame_labels_leave_an_unusable_frame_out() -> None:
    events = [_label_event("c1", "A4C"), LabelEvent("c1", "c1:0001", "", "r1", "", "test", answer=LabelAnswer.UNUSABLE)]
    assert frame_labels(events, FRAMES) == {"c1:0000": "A4C"}


def test_consensus_labels_list_the_known_rules() -> None:
    with pytest.raises(UnknownNameError, match="Known: adjudicated, dawid_skene, latest, majority, single, unanimous"):
        frame_labels([], FRAMES, "loudest")


def test_count_labels(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=2, frames_each=3)
    clips = store.clips["clip"].to_pylist()
    events = [_label_event(clips[0], "PLAX"), _label_event(clips[1], "PLAX"), _label_event(clips[5], "A4C")]
    assert count_labels(events, store) == [("A", "A4C", 1, 1, 3), ("A", "PLAX", 1, 2, 6)]
