"""Who is asked what: blindness, holding, order, and answers that come too late."""

import sqlite3
from pathlib import Path

import pytest

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.messages import LabelRequest, RetractionRequest, SavedLabel
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.errors import ConfigError, LabelConflictError, MissingInputError
from heart2heart.labels.double_reading import DoubleReadingPlan
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind
from tests.annotate.support import AT, clip_answer, make_assignments


def _answer(desk: Assignments, rater: str, clip: str, word: str, number: int = 0, **more: object) -> LabelEvent:
    ruling = more.get("kind") == "adjudication"
    about = desk.describe(clip, rater, adjudicating=ruling)
    return desk.save(rater, LabelRequest.parse(clip_answer(about, word, number, **more), where="test"))


def test_clips_are_asked_in_order_and_held_for_who_got_them(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    order = desk.clip_order()
    assert desk.next_clips("a", 3) == order[:3]
    assert desk.next_clips("b", 3) == order[3:6]
    assert desk.next_clips("a", 4, without=order[:2]) == [order[2], *order[6:9]]
    assert desk.next_clips("a", 2, first=[order[5], order[8], "unknown"]) == [order[8], order[0]]


def test_an_answered_clip_is_not_asked_again(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    first, second = desk.clip_order()[:2]
    _answer(desk, "a", first, "A4C")
    assert desk.next_clips("a", 1) == [second]
    assert desk.next_clips("b", 1) != [first]


def test_of_a_clip_read_twice_nobody_learns_anything(tmp_path: Path) -> None:
    suggestions = {clip: Suggestion("A2C", 0.9, "r") for clip in make_assignments(tmp_path).clip_order()}
    desk = make_assignments(
        tmp_path, double=1.0, suggest=True, suggestions=suggestions, queue=dict.fromkeys(suggestions, "w")
    )
    clip = desk.clip_order()[0]
    before = desk.describe(clip, "b")
    _answer(desk, "a", clip, "A4C", confidence=0.75)
    assert desk.describe(clip, "b") | {"seen": 0} == before
    assert desk.describe(clip, "b", label_known=True) == desk.describe(clip, "b")
    assert (before["suggestion"], before["reason"]) == (None, "")
    assert desk.next_clips("b", 1) == [clip]
    assert desk.grid("b", "A2C", 30) == []
    event = _answer(desk, "b", clip, "A2C", shown=False)
    assert (event.suggestion, event.suggested_by, event.suggestion_shown) == ("A2C", "r", False)
    assert desk.disagreements() == [clip]
    assert desk.describe(clip, "z", adjudicating=True)["answers"] == ["A2C", "A4C"]
    assert clip not in desk.next_clips("c", 50)
    with pytest.raises(LabelConflictError, match="complete without yours"):
        _answer(desk, "c", clip, "A4C")
    _answer(desk, "z", clip, "A4C", kind="adjudication")
    assert desk.disagreements() == []
    with pytest.raises(LabelConflictError, match="complete without yours"):
        _answer(desk, "a", clip, "A3C", 1)


def test_what_a_browser_is_told_does_not_say_which_clips_are_read_twice(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path, patients=8).clip_order()
    suggestions = {clip: Suggestion("A2C", 0.9, "r") for clip in clips}
    desk = make_assignments(
        tmp_path, double=0.4, seed=1, suggest=True, suggestions=suggestions, queue=dict.fromkeys(clips, "margin")
    )
    twice = {clip for clip in clips if desk.required_readings(clip) == 2}
    told = {clip: desk.describe(clip, "b") for clip in clips}
    assert len({tuple(about) for about in told.values()}) == 1
    bare = {clip for clip, about in told.items() if about["suggestion"] is None}
    assert bare == {clip for clip, about in told.items() if not about["reason"]}
    assert twice < bare < set(clips)
    assert len(bare - twice) >= 0.2 * len(set(clips) - twice)
    # Another's label changes nothing of either kind but how far the book is.
    for clip in (min(twice), min(bare - twice)):
        _answer(desk, "a", clip, "A4C")
        assert desk.describe(clip, "b") == told[clip] | {"seen": desk.describe(clips[0], "b")["seen"]}


def test_readings_that_a_queue_wants_hide_as_many_hints(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path, patients=4).clip_order()
    queue, readings = dict.fromkeys(clips, "doubted"), {clip: 1 + index % 2 for index, clip in enumerate(clips)}
    desk = make_assignments(tmp_path, queue=queue, readings=readings)
    once = [clip for clip in clips if readings[clip] == 1]
    assert 0 < sum(bool(desk.describe(clip, "a")["reason"]) for clip in once) < len(once)


def test_the_choice_of_clips_read_twice_stays_with_the_book(tmp_path: Path) -> None:
    first = make_assignments(tmp_path, double=0.5, seed=None)
    first.settle_plan()
    drawn = first.plan.seed
    again = make_assignments(tmp_path, double=None)
    again.settle_plan()
    assert again.plan == first.plan
    assert [again.required_readings(clip) for clip in again.clip_order()] == [
        first.required_readings(clip) for clip in first.clip_order()
    ]
    for share, seed in ((0.2, None), (0.5, drawn + 1)):
        with pytest.raises(ConfigError, match=rf"0\.5 of its clips read twice \(seed {drawn}\).*--replan"):
            make_assignments(tmp_path, double=share, seed=seed).settle_plan()
    changed = make_assignments(tmp_path, double=0.2, replan=True)
    changed.settle_plan()
    assert changed.plan == DoubleReadingPlan(0.2, drawn)
    with sqlite3.connect(changed.label_store.path) as connection:
        assert connection.execute("SELECT share, seed FROM plans").fetchall() == [(0.5, drawn), (0.2, drawn)]
        with pytest.raises(sqlite3.IntegrityError, match="plans are kept"):
            connection.execute("DELETE FROM plans")
    connection.close()


def test_an_adjudicator_is_asked_last_and_told_of_clips_of_their_own(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path, double=1.0)
    first, second, third = desk.clip_order()[:3]
    for clip, readers in ((first, "zb"), (second, "ab"), (third, "za")):
        for reader, word in zip(readers, ("A4C", "A2C"), strict=True):
            _answer(desk, reader, clip, word)
    assert desk.disagreements("z") == [second, first, third]
    assert [desk.describe(clip, "z", adjudicating=True)["own_answer"] for clip in (first, second)] == ["A4C", None]
    ruling = _answer(desk, "z", first, "A4C", kind="adjudication")
    assert (ruling.rater, desk.disagreements("a")) == ("z", [second, third])


def test_the_suggestion_and_the_reason_are_shown_when_asked_for(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path).clip_order()
    suggestions = {clips[1]: Suggestion("A2C", 0.9, "r")}
    queue = {clips[1]: "margin 0.1", clips[0]: "random", "gone": "x"}
    desk = make_assignments(tmp_path, suggest=True, suggestions=suggestions, queue=queue)
    assert desk.next_clips("a", 9) == [clips[1], clips[0]]
    shown = desk.describe(clips[1], "a")
    assert (shown["suggestion"], shown["reason"]) == ({"view": "A2C", "probability": 0.9}, "margin 0.1")
    assert desk.describe(clips[0], "a")["suggestion"] is None
    event = _answer(desk, "a", clips[1], "A4C", shown=True)
    assert (event.suggestion, event.suggestion_shown, event.source, event.seconds) == ("A2C", True, "page", 1.5)
    assert event.frame_hash == desk.catalog.clips[clips[1]].frame_hash
    assert not _answer(desk, "a", clips[0], "A4C", shown=True).suggestion_shown
    hidden = make_assignments(tmp_path, suggestions=suggestions)
    assert hidden.describe(clips[1], "b")["suggestion"] is None


def test_two_who_saw_the_same_clip_do_not_write_over_each_other(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    clip = desk.clip_order()[0]
    seen = desk.describe(clip, "b")
    _answer(desk, "a", clip, "A4C")
    with pytest.raises(LabelConflictError, match="got a label while it was on the screen"):
        desk.save("b", LabelRequest.parse(clip_answer(seen, "A2C"), where="test"))
    now = desk.describe(clip, "b", label_known=True)
    assert (now["answers"], now["seen"] > seen["seen"]) == (["A4C"], True)
    desk.save("b", LabelRequest.parse(clip_answer(now, "A2C", 1), where="test"))
    assert desk.disagreements() == [clip]


@pytest.mark.parametrize("double", [0.0, 1.0])
def test_two_windows_of_one_rater_do_not_write_over_each_other(tmp_path: Path, double: float) -> None:
    desk = make_assignments(tmp_path, double=double)
    clip = desk.clip_order()[0]
    seen = desk.describe(clip, "a")
    desk.save("a", LabelRequest.parse(clip_answer(seen, "A4C"), where="test"))
    with pytest.raises(LabelConflictError):
        desk.save("a", LabelRequest.parse(clip_answer(seen, "A2C", 1), where="test"))
    assert desk.describe(clip, "a")["own_answer"] == "A4C"


def test_the_same_answer_sent_twice_is_one_event(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    answer = LabelRequest.parse(clip_answer(desk.describe(desk.clip_order()[0], "a"), "A4C"), where="test")
    assert desk.save("a", answer) == desk.save("a", answer)
    assert len(desk.label_store.events()) == 1


def test_an_answer_is_taken_back_by_who_gave_it(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    clip = desk.clip_order()[0]
    event = _answer(desk, "a", clip, "A4C")
    asked = RetractionRequest(answers=(SavedLabel(clip=clip, event=event.identifier),), at=AT.format(9, 0))
    with pytest.raises(ConfigError, match="no such answer to retract"):
        desk.retract("b", asked)
    desk.retract("a", asked)
    assert (desk.status(clip), desk.describe(clip, "a")["own_answer"]) == ("unread", None)
    assert [kept.kind for kept in desk.label_store.events()] == ["label", "retraction"]


def test_several_answers_are_taken_back_whole_or_not_at_all(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    clips = desk.clip_order()[:3]
    given = [SavedLabel(clip=clip, event=_answer(desk, "a", clip, "A4C").identifier) for clip in clips]
    other = SavedLabel(clip=desk.clip_order()[3], event=_answer(desk, "b", desk.clip_order()[3], "A4C").identifier)
    with pytest.raises(ConfigError, match="no such answer to retract"):
        desk.retract("a", RetractionRequest(answers=(*given, other), at=AT.format(9, 0)))
    assert {desk.status(clip) for clip in clips} == {"agreed"}
    for _ in range(2):  # sent again, because the first reply did not arrive
        desk.retract("a", RetractionRequest(answers=tuple(given), at=AT.format(9, 0)))
    assert {desk.status(clip) for clip in clips} == {"unread"}
    assert [event.kind for event in desk.label_store.events()].count(EventKind.RETRACTION) == 3


def test_the_grid_holds_unread_clips_of_one_suggestion(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path).clip_order()
    suggestions = {
        clip: Suggestion("A4C" if index % 2 else "PLAX", 0.5 + index / 100, "r") for index, clip in enumerate(clips)
    }
    desk = make_assignments(tmp_path, suggestions=suggestions)
    assert desk.grid_counts() == {"A4C": 5, "PLAX": 5}
    assert desk.grid("a", "A4C", 3) == [clips[9], clips[7], clips[5]]
    assert desk.grid("b", "A4C", 30) == [clips[3], clips[1]]
    _answer(desk, "a", clips[9], "A4C", shown=True)
    assert desk.grid_counts()["A4C"] == 4
    assert desk.describe(clips[9], "a")["own_answer"] == "A4C"


@pytest.mark.parametrize("changes", [{"answer": "unusable"}, {"view": ""}, {"view": "A9C"}])
def test_answers_that_contradict_themselves(tmp_path: Path, changes: dict[str, str]) -> None:
    desk = make_assignments(tmp_path)
    about = desk.describe(desk.clip_order()[0], "a")
    with pytest.raises(ConfigError):
        desk.save("a", LabelRequest.parse(clip_answer(about, "A4C") | changes, where="test"))
    assert desk.label_store.events() == []


def test_a_clip_that_nobody_has(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path)
    about = desk.describe(desk.clip_order()[0], "a") | {"clip": "../../etc/passwd"}
    with pytest.raises(MissingInputError, match="not in the store"):
        desk.save("a", LabelRequest.parse(clip_answer(about, "A4C"), where="test"))
    assert desk.label_store.events() == []


def test_what_another_program_writes_is_seen(tmp_path: Path) -> None:
    desk = make_assignments(tmp_path, double=1.0)
    first, second, third = desk.clip_order()[:3]
    desk.label_store.append(
        [LabelEvent(first, "", "A4C", "csv 1", "", "csv:x"), LabelEvent(first, "", "A2C", "csv 2", "", "x")]
    )
    desk.label_store.append([LabelEvent(second, "", "A4C", "csv 1", "", "csv:x")])
    assert desk.next_clips("a", 2) == [second, third]
    assert desk.disagreements() == [first]
