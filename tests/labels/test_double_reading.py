"""How far the reading of a clip is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.labels.double_reading import ClipReadings, required_readings
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind, LabelAnswer


def _label_event(rater: str, word: str, kind: str = EventKind.LABEL, frame: str = "") -> LabelEvent:
    view, answer = ("", LabelAnswer(word)) if word in ("unsure", "unusable") else (word, LabelAnswer.VIEW)
    return LabelEvent("c", frame, view, rater, "", "t", kind=EventKind(kind), answer=answer)


@pytest.mark.parametrize(
    ("events", "once", "twice"),
    [
        ([], "unread", "unread"),
        ([_label_event("a", "A4C")], "agreed", "half"),
        ([_label_event("a", "unsure")], "disagreement", "half"),
        ([_label_event("a", "unusable"), _label_event("b", "unusable")], "agreed", "agreed"),
        ([_label_event("a", "A4C"), _label_event("b", "A2C")], "disagreement", "disagreement"),
        ([_label_event("a", "A4C"), _label_event("a", "A2C")], "agreed", "half"),
        ([_label_event("a", "unsure"), _label_event("b", "unsure")], "disagreement", "disagreement"),
        (
            [_label_event("a", "A4C"), _label_event("b", "A2C"), _label_event("z", "A4C", "adjudication")],
            "adjudicated",
            "adjudicated",
        ),
        ([_label_event("a", "A4C", frame="c:0000")], "unread", "unread"),
    ],
)
def test_clip_readings_status(events: list[LabelEvent], once: str, twice: str) -> None:
    state = ClipReadings.from_events(events)
    assert (state.status(1), state.status(2)) == (once, twice)
    assert state.version == len(events)


def test_clip_readings_status_after_a_retraction() -> None:
    first, second = _label_event("a", "A4C"), _label_event("b", "A2C")
    state = ClipReadings.from_events([first, second, second.retraction("later")])
    assert (state.version, state.readings, state.status(2)) == (3, {"a": "A4C"}, "half")
    ruling = _label_event("z", "A3C", "adjudication")
    assert ClipReadings.from_events([first, second, ruling, ruling.retraction("later")]).status(2) == "disagreement"


@given(st.integers(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_required_readings_grow_with_the_share(seed: int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    for index in range(40):
        assert required_readings(f"clip {index}", less, seed) <= required_readings(f"clip {index}", more, seed)


def test_required_readings_meet_the_share_and_follow_the_seed() -> None:
    clips = [f"{index:016x}" for index in range(4000)]
    twice = [clip for clip in clips if required_readings(clip, 0.2) == 2]
    assert abs(len(twice) / len(clips) - 0.2) < 0.03
    assert twice != [clip for clip in clips if required_readings(clip, 0.2, 1) == 2]
    assert {required_readings(clip, 0.0) for clip in clips} == {1}
    assert {required_readings(clip, 1.0) for clip in clips} == {2}
