"""Reviews as events: any order of any decisions of two persons gives what a plain reading of the rules says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.chained_lines import ChainedLines, append_lines, read_lines
from heart2heart.schema.review import (
    REVIEW_FILE,
    ReviewDecision,
    ReviewEvent,
    ReviewEvents,
    ReviewState,
    append_reviews,
    read_reviews,
)

AT = "2026-11-27T10:00:00.000+00:00"
PIXELS = {"one": "1" * 64, "other": "2" * 64}


def event(
    decision: str, reviewer: str = "Reader 1", clip: str = "c1", pixels: str = "one", reason: str = "seen"
) -> ReviewEvent:
    content = {"clip": clip, "pixel_hash": PIXELS[pixels], "decision": decision, "reviewer": reviewer}
    return ReviewEvent.parse(content | {"reason": reason, "at": AT}, where="test")


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from([each.value for each in ReviewDecision]),
        st.sampled_from(["Reader 1", "Reader 2"]),
        st.sampled_from(["c1", "c2"]),
        st.sampled_from(["one", "other"]),
    ),
    max_size=12,
)


def expected_state(events: list[ReviewEvent], clip: str, pixels: str) -> str:
    """Read the rules literally: for each person, the last word that is not taken back; a hidden clip stays hidden."""
    words = set()
    for reviewer in ("Reader 1", "Reader 2"):
        own = [e for e in events if (e.clip, e.pixel_hash, e.reviewer) == (clip, PIXELS[pixels], reviewer)]
        if own and own[-1].decision != "undone":
            words.add(own[-1].decision.value)
    return "hidden" if "hidden" in words else "cleared" if words else "waiting"


@given(EVENTS)
def test_states_follow_the_last_word_of_each_person_and_hidden_wins(events: list[ReviewEvent]) -> None:
    states = ReviewEvents(tuple(events)).states()
    for clip in ("c1", "c2"):
        for pixels in PIXELS:
            state = states.get((clip, PIXELS[pixels]), ReviewState.WAITING)
            assert state.value == expected_state(events, clip, pixels)


@given(EVENTS, st.integers(0, 11))
def test_states_of_one_person_do_not_depend_on_the_events_of_the_other(events: list[ReviewEvent], cut: int) -> None:
    own = [each for each in events if each.reviewer == "Reader 1"]
    others = [each for each in events if each.reviewer == "Reader 2"]
    mixed = ReviewEvents((*own[:cut], *others, *own[cut:]))
    assert mixed.states() == ReviewEvents((*others, *own)).states()


def test_append_reviews_keeps_every_event_in_order(tmp_path: Path) -> None:
    first, second = event("cleared"), event("undone", "Reader 2", reason="ä name taken  back")
    append_reviews(tmp_path, lambda present: [first])
    append_reviews(tmp_path, lambda present: [second] if present.events == (first,) else [])
    assert read_reviews(tmp_path).events == (first, second)
    assert second.reason == "ä name taken back"
    assert (tmp_path / REVIEW_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "wrong",
    [
        {"reviewer": " "}, {"reviewer": "x" * 61}, {"reason": ""}, {"reason": "a\x07b"}, {"reason": "x" * 501},
        {"at": "yesterday"}, {"at": "2026-11-27T10:00:00"}, {"pixel_hash": "1" * 63}, {"clip": ""}, {"extra": 1},
        {"schema_version": 2}, {"decision": "shown"},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}-{len(str(next(iter(wrong.values()))))}",
)  # fmt: skip
def test_review_event_refuses_what_is_no_event(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ReviewEvent.parse(event("cleared").model_dump() | wrong, where="test")


def test_read_reviews_refuses_records_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / REVIEW_FILE

    def read() -> ChainedLines:
        return read_lines(path, what="list", remedy="-", max_bytes=10_000)

    append_lines(path, lambda lines: [{"kind": "another"}], read, what="list", max_bytes=10_000)
    with pytest.raises(StoreError, match="no file of reviews"):
        read_reviews(tmp_path)
