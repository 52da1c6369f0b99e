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


def _answer(assignments: Assignments, rater: str, clip: str, word: str, number: int = 0, **more: object) -> LabelEvent:
    adjudicating = more.get("kind") == "adjudication"
    details = assignments.describe(clip, rater, adjudicating=adjudicating)
    return assignments.save(rater, LabelRequest.parse(clip_answer(details, word, number, **more), where="test"))


def test_next_clips_are_in_order_and_reserved(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    order = assignments.clip_order()
    assert assignments.next_clips("a", 3) == order[:3]
    assert assignments.next_clips("b", 3) == order[3:6]
    assert assignments.next_clips("a", 4, without=order[:2]) == [order[2], *order[6:9]]
    assert assignments.next_clips("a", 2, first=[order[5], order[8], "unknown"]) == [order[8], order[0]]


def test_next_clips_leave_answered_clips_out(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    first, second = assignments.clip_order()[:2]
    _answer(assignments, "a", first, "A4C")
    assert assignments.next_clips("a", 1) == [second]
    assert assignments.next_clips("b", 1) != [first]


def test_describe_hides_the_other_reading_of_a_clip_read_twice(tmp_path: Path) -> None:
    suggestions = {clip: Suggestion("A2C", 0.9, "r") for clip in make_assignments(tmp_path).clip_order()}
    assignments = make_assignments(
        tmp_path, double=1.0, suggest=True, suggestions=suggestions, queue=dict.fromkeys(suggestions, "w")
    )
    clip = assignments.clip_order()[0]
    before = assignments.describe(clip, "b")
    _answer(assignments, "a", clip, "A4C", confidence=0.75)
    assert assignments.describe(clip, "b") | {"seen": 0} == before
    assert assignments.describe(clip, "b", label_known=True) == assignments.describe(clip, "b")
    assert (before["suggestion"], before["reason"]) == (None, "")
    assert assignments.next_clips("b", 1) == [clip]
    assert assignments.grid("b", "A2C", 30) == []
    event = _answer(assignments, "b", clip, "A2C", shown=False)
    assert (event.suggestion, event.suggested_by, event.suggestion_shown) == ("A2C", "r", False)
    assert assignments.disagreements() == [clip]
    assert assignments.describe(clip, "z", adjudicating=True)["answers"] == ["A2C", "A4C"]
    assert clip not in assignments.next_clips("c", 50)
    with pytest.raises(LabelConflictError, match="complete without yours"):
        _answer(assignments, "c", clip, "A4C")
    _answer(assignments, "z", clip, "A4C", kind="adjudication")
    assert assignments.disagreements() == []
    with pytest.raises(LabelConflictError, match="complete without yours"):
        _answer(assignments, "a", clip, "A3C", 1)


def test_describe_does_not_reveal_which_clips_are_read_twice(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path, patients=8).clip_order()
    suggestions = {clip: Suggestion("A2C", 0.9, "r") for clip in clips}
    assignments = make_assignments(
        tmp_path, double=0.4, seed=1, suggest=True, suggestions=suggestions, queue=dict.fromkeys(clips, "margin")
    )
    twice = {clip for clip in clips if assignments.required_readings(clip) == 2}
    details_of = {clip: assignments.describe(clip, "b") for clip in clips}
    assert len({tuple(details) for details in details_of.values()}) == 1
    bare = {clip for clip, details in details_of.items() if details["suggestion"] is None}
    assert bare == {clip for clip, details in details_of.items() if not details["reason"]}
    assert twice < bare < set(clips)
    assert len(bare - twice) >= 0.2 * len(set(clips) - twice)
    # A label of another rater changes only the number of the last event, for either kind of clip.
    for clip in (min(twice), min(bare - twice)):
        _answer(assignments, "a", clip, "A4C")
        assert assignments.describe(clip, "b") == details_of[clip] | {
            "seen": assignments.describe(clips[0], "b")["seen"]
        }


def test_describe_hides_as_many_hints_as_a_queue_has_clips_read_twice(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path, patients=4).clip_order()
    queue, readings = dict.fromkeys(clips, "doubted"), {clip: 1 + index % 2 for index, clip in enumerate(clips)}
    assignments = make_assignments(tmp_path, queue=queue, readings=readings)
    once = [clip for clip in clips if readings[clip] == 1]
    assert 0 < sum(bool(assignments.describe(clip, "a")["reason"]) for clip in once) < len(once)


def test_assignments_settle_plan_keeps_the_plan_of_the_label_store(tmp_path: Path) -> None:
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


def test_disagreements_put_clips_that_the_adjudicator_read_last(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path, double=1.0)
    first, second, third = assignments.clip_order()[:3]
    for clip, readers in ((first, "zb"), (second, "ab"), (third, "za")):
        for reader, word in zip(readers, ("A4C", "A2C"), strict=True):
            _answer(assignments, reader, clip, word)
    assert assignments.disagreements("z") == [second, first, third]
    assert [assignments.describe(clip, "z", adjudicating=True)["own_answer"] for clip in (first, second)] == [
        "A4C",
        None,
    ]
    ruling = _answer(assignments, "z", first, "A4C", kind="adjudication")
    assert (ruling.rater, assignments.disagreements("a")) == ("z", [second, third])


def test_describe_shows_suggestion_and_reason_if_set(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path).clip_order()
    suggestions = {clips[1]: Suggestion("A2C", 0.9, "r")}
    queue = {clips[1]: "margin 0.1", clips[0]: "random", "gone": "x"}
    assignments = make_assignments(tmp_path, suggest=True, suggestions=suggestions, queue=queue)
    assert assignments.next_clips("a", 9) == [clips[1], clips[0]]
    shown = assignments.describe(clips[1], "a")
    assert (shown["suggestion"], shown["reason"]) == ({"view": "A2C", "probability": 0.9}, "margin 0.1")
    assert assignments.describe(clips[0], "a")["suggestion"] is None
    event = _answer(assignments, "a", clips[1], "A4C", shown=True)
    assert (event.suggestion, event.suggestion_shown, event.source, event.seconds) == ("A2C", True, "page", 1.5)
    assert event.frame_hash == assignments.catalog.clips[clips[1]].frame_hash
    assert not _answer(assignments, "a", clips[0], "A4C", shown=True).suggestion_shown
    hidden = make_assignments(tmp_path, suggestions=suggestions)
    assert hidden.describe(clips[1], "b")["suggestion"] is None


def test_save_refuses_the_second_of_two_raters_on_one_clip(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    clip = assignments.clip_order()[0]
    seen = assignments.describe(clip, "b")
    _answer(assignments, "a", clip, "A4C")
    with pytest.raises(LabelConflictError, match="got a label while it was on the screen"):
        assignments.save("b", LabelRequest.parse(clip_answer(seen, "A2C"), where="test"))
    now = assignments.describe(clip, "b", label_known=True)
    assert (now["answers"], now["seen"] > seen["seen"]) == (["A4C"], True)
    assignments.save("b", LabelRequest.parse(clip_answer(now, "A2C", 1), where="test"))
    assert assignments.disagreements() == [clip]


@pytest.mark.parametrize("double", [0.0, 1.0])
def test_save_refuses_the_second_of_two_windows_of_one_rater(tmp_path: Path, double: float) -> None:
    assignments = make_assignments(tmp_path, double=double)
    clip = assignments.clip_order()[0]
    seen = assignments.describe(clip, "a")
    assignments.save("a", LabelRequest.parse(clip_answer(seen, "A4C"), where="test"))
    with pytest.raises(LabelConflictError):
        assignments.save("a", LabelRequest.parse(clip_answer(seen, "A2C", 1), where="test"))
    assert assignments.describe(clip, "a")["own_answer"] == "A4C"


def test_save_of_the_same_answer_twice_is_one_event(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    answer = LabelRequest.parse(
        clip_answer(assignments.describe(assignments.clip_order()[0], "a"), "A4C"), where="test"
    )
    assert assignments.save("a", answer) == assignments.save("a", answer)
    assert len(assignments.label_store.events()) == 1


def test_retract_takes_only_own_answers(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    clip = assignments.clip_order()[0]
    event = _answer(assignments, "a", clip, "A4C")
    request = RetractionRequest(answers=(SavedLabel(clip=clip, event=event.identifier),), at=AT.format(9, 0))
    with pytest.raises(ConfigError, match="no such answer to retract"):
        assignments.retract("b", request)
    assignments.retract("a", request)
    assert (assignments.status(clip), assignments.describe(clip, "a")["own_answer"]) == ("unread", None)
    assert [kept.kind for kept in assignments.label_store.events()] == ["label", "retraction"]


def test_retract_takes_all_answers_or_none(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    clips = assignments.clip_order()[:3]
    saved = [SavedLabel(clip=clip, event=_answer(assignments, "a", clip, "A4C").identifier) for clip in clips]
    other = SavedLabel(
        clip=assignments.clip_order()[3], event=_answer(assignments, "b", assignments.clip_order()[3], "A4C").identifier
    )
    with pytest.raises(ConfigError, match="no such answer to retract"):
        assignments.retract("a", RetractionRequest(answers=(*saved, other), at=AT.format(9, 0)))
    assert {assignments.status(clip) for clip in clips} == {"agreed"}
    for _ in range(2):  # sent again, because the first reply did not arrive
        assignments.retract("a", RetractionRequest(answers=tuple(saved), at=AT.format(9, 0)))
    assert {assignments.status(clip) for clip in clips} == {"unread"}
    assert [event.kind for event in assignments.label_store.events()].count(EventKind.RETRACTION) == 3


def test_grid_holds_unread_clips_of_one_suggestion(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path).clip_order()
    suggestions = {
        clip: Suggestion("A4C" if index % 2 else "PLAX", 0.5 + index / 100, "r") for index, clip in enumerate(clips)
    }
    assignments = make_assignments(tmp_path, suggestions=suggestions)
    assert assignments.grid_counts() == {"A4C": 5, "PLAX": 5}
    assert assignments.grid("a", "A4C", 3) == [clips[9], clips[7], clips[5]]
    assert assignments.grid("b", "A4C", 30) == [clips[3], clips[1]]
    _answer(assignments, "a", clips[9], "A4C", shown=True)
    assert assignments.grid_counts()["A4C"] == 4
    assert assignments.describe(clips[9], "a")["own_answer"] == "A4C"


@pytest.mark.parametrize("changes", [{"answer": "unusable"}, {"view": ""}, {"view": "A9C"}])
def test_save_refuses_contradictory_answers(tmp_path: Path, changes: dict[str, str]) -> None:
    assignments = make_assignments(tmp_path)
    details = assignments.describe(assignments.clip_order()[0], "a")
    with pytest.raises(ConfigError):
        assignments.save("a", LabelRequest.parse(clip_answer(details, "A4C") | changes, where="test"))
    assert assignments.label_store.events() == []


def test_save_refuses_an_unknown_clip(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    details = assignments.describe(assignments.clip_order()[0], "a") | {"clip": "../../etc/passwd"}
    with pytest.raises(MissingInputError, match="not in the store"):
        assignments.save("a", LabelRequest.parse(clip_answer(details, "A4C"), where="test"))
    assert assignments.label_store.events() == []


def test_assignments_refresh_reads_what_another_program_wrote(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path, double=1.0)
    first, second, third = assignments.clip_order()[:3]
    assignments.label_store.append(
        [LabelEvent(first, "", "A4C", "csv 1", "", "csv:x"), LabelEvent(first, "", "A2C", "csv 2", "", "x")]
    )
    assignments.label_store.append([LabelEvent(second, "", "A4C", "csv 1", "", "csv:x")])
    assert assignments.next_clips("a", 2) == [second, third]
    assert assignments.disagreements() == [first]
