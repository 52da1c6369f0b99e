"""Quality, marks, notes, tasks, goals and search by requests: who sees what, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from heart2heart.annotate.auth import Raters
from heart2heart.annotate.server import AnnotationServer
from heart2heart.errors import LabelStoreBusyError
from heart2heart.labels.store_lock import lock_path
from tests.annotate.support import AT, Client, clip_answer, make_assignments, served


@contextmanager
def _team(tmp_path: Path) -> Iterator[tuple[list[str], Client, Client, Client]]:
    """Serve a page; yield its clips, two readers and an adjudicator."""
    file, raters, tokens = tmp_path / "raters.json", Raters(), []
    for name in ("one", "two", "judge"):
        raters, token = raters.with_added(name, adjudicator=name == "judge", days=9, today=date.today())
        tokens.append(token)
    raters.write(file)
    assignments = make_assignments(tmp_path, raters=file, double=1.0)
    with served(assignments) as server:
        one, two, judge = (Client(server.port).enter(token) for token in tokens)
        yield assignments.clip_order(), one, two, judge


def test_save_quality_and_marks_are_each_raters_own(tmp_path: Path) -> None:
    with _team(tmp_path) as (clips, one, two, judge):
        at = AT.format(0, 0)
        for client, quality in ((one, "good"), (two, "unusable")):
            assert client.ask("quality", {"clip": clips[0], "quality": quality, "at": at}) == {"quality": quality}
        marks = one.ask("marks", {"clip": clips[0], "ed": [0], "es": [1], "at": at})["marks"]
        assert marks == {"ed": [0], "es": [1]}
        assert [client.ask(f"clips/{clips[0]}")["quality"] for client in (one, two, judge)] == ["good", "unusable", ""]
        assert two.ask(f"clips/{clips[0]}")["marks"] == {"ed": [], "es": []}
        tables = {table["title"]: table["rows"] for table in judge.ask("raters")["tables"]}
        assert tables["Image quality"] == [["one", "two", "1", "0", "0.00"]]
        assert (
            "unknown image quality 'nice'" in one.refused("quality", {"clip": clips[0], "quality": "nice", "at": at})[1]
        )
        status, error = one.refused("marks", {"clip": clips[0], "ed": [9999], "at": at})
        assert (status, error) == (400, "the clip has no frame 9999")
        status, error = one.refused("marks", {"clip": clips[0], "ed": [1], "es": [1], "at": at})
        assert (status, error) == (400, "frame 1 is marked as both end diastole and end systole")
        assert one.refused("quality", {"clip": "none", "quality": "good", "at": at})[0] == 404


def test_save_note_is_seen_by_its_writer_and_an_adjudicator(tmp_path: Path) -> None:
    with _team(tmp_path) as (clips, one, two, judge):
        one.ask("notes", {"clip": clips[0], "text": " rib shadow ", "at": AT.format(0, 0)})
        path = f"clips/{clips[0]}/notes"
        assert one.ask(path)["own"] == "rib shadow"
        assert "may hold identity" in one.ask(path)["warning"]
        assert (two.ask(path)["own"], two.ask(path)["others"]) == ("", [])
        assert judge.ask(path)["others"] == [{"rater": "one", "text": "rib shadow"}]
        assert one.refused("notes", {"clip": clips[0], "text": "x" * 1001, "at": AT.format(1, 0)})[0] == 400
        assert "plain text" in one.refused("notes", {"clip": clips[0], "text": "\x00", "at": AT.format(1, 0)})[1]
        assert [row["clip"] for row in one.ask("search", {"noted": True})["clips"]] == [clips[0]]
        assert two.ask("search", {"noted": True})["total"] == 0


def test_hand_over_moves_a_clip_until_it_is_done(tmp_path: Path) -> None:
    with _team(tmp_path) as (clips, one, two, judge):
        clip = clips[3]
        body = {"clip": clip, "to": "two", "text": "second beat", "at": AT.format(0, 0)}
        one.ask("handovers", body)
        assert clip not in [each["clip"] for each in one.ask("next-clips", {"count": 20})["clips"]]
        assert clip not in [each["clip"] for each in judge.ask("next-clips", {"count": 20})["clips"]]
        assert two.ask("next-clips", {"count": 1})["clips"][0]["clip"] == clip
        (task,) = two.ask("tasks")["received"]
        assert (task["sender"], task["text"], task["own_answer"]) == ("one", "second beat", None)
        assert one.ask("tasks")["sent"][0]["colleague"] == "two"
        assert two.ask("tasks")["colleagues"] == ["judge", "one"]
        two.ask("answers", clip_answer(two.ask(f"clips/{clip}"), "A4C"))
        assert two.ask("tasks")["received"][0]["own_answer"] == "A4C"
        assert judge.refused("tasks", {"clip": clip, "at": AT.format(1, 0)}) == (400, "you have no such task")
        two.ask("tasks", {"clip": clip, "at": AT.format(1, 0)})
        assert two.ask("tasks")["received"] == []
        assert clip in [each["clip"] for each in one.ask("next-clips", {"count": 20})["clips"]]
        for name in ("nobody", "one"):
            status, error = one.refused("handovers", body | {"to": name})
            assert (status, error) == (400, f"there is no colleague {name!r} to hand the clip to")


def test_save_goal_and_the_time_left(tmp_path: Path) -> None:
    with _team(tmp_path) as (clips, one, two, _):
        one.ask("goal", {"clips": 50, "at": AT.format(0, 0)})
        assert (one.ask("tasks")["goal"], two.ask("tasks")["goal"]) == (50, 0)
        assert (one.ask("tasks")["left"], one.ask("tasks")["minutes"]) == (len(clips), None)
        one.ask("answers", clip_answer(one.ask(f"clips/{clips[0]}"), "A4C", seconds=30.0))
        assert one.ask("tasks")["minutes"] == 4.5  # nine clips of 30 s
        assert one.refused("goal", {"clips": -1, "at": AT.format(0, 0)})[0] == 400


def test_find_clips_by_what_a_rater_may_know(tmp_path: Path) -> None:
    with _team(tmp_path) as (clips, one, two, judge):
        for client, word in ((one, "A4C"), (two, "unsure")):
            client.ask("answers", clip_answer(client.ask(f"clips/{clips[0]}"), word))
        assert one.ask("search", {"view": "A4C"})["total"] == 1
        assert two.ask("search", {"view": "A4C"})["total"] == 0  # blind to the other reader
        assert two.ask("search", {"unsure": True})["clips"][0]["own_answer"] == "unsure"
        assert judge.ask("search", {"view": "A4C", "reader": "one"})["total"] == 1
        status, error = one.refused("search", {"reader": "two"})
        assert (status, "only an adjudicator" in error) == (400, True)
        assert one.ask("search")["reader"] == []
        assert judge.ask("search")["reader"] == ["one", "two"]
        assert one.ask("search", {"site": "A", "clip": clips[4][:16]})["total"] >= 1
        assert one.ask("search", {"site": "B"})["total"] == 0
        assert one.ask("search", {"mode": "colour"})["total"] == 0
        only = {"count": 20, "filter": {"clip": clips[4]}}
        assert [each["clip"] for each in one.ask("next-clips", only)["clips"]] == [clips[4]]
        assert one.ask("next-clips", only)["left"] == 1
        assert one.refused("search", {"colour": "red"})[0] == 400


def test_annotation_server_refuses_a_second_one_on_the_same_label_store(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    with served(assignments):
        assert lock_path(assignments.label_store.path).exists()
        with pytest.raises(LabelStoreBusyError, match="another page uses this label store"):
            AnnotationServer(make_assignments(tmp_path))
    assert not lock_path(assignments.label_store.path).exists()
    AnnotationServer(assignments).close()
    assert not lock_path(assignments.label_store.path).exists()
