"""Gold clips are mixed in at the stated rate, look like any other, and never count as labels."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heart2heart.annotate.auth import Raters
from heart2heart.annotate.gold_clips import schedule_gold
from heart2heart.annotate.suggestions import Suggestion
from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import ClipEventKind, EventKind
from tests.annotate.support import AT, Client, clip_answer, make_assignments, served

NOW = "2026-11-28T12:00:00.000Z"


def _gold(clip: str, view: str) -> ClipEvent:
    return ClipEvent(clip, ClipEventKind.GOLD, "judge", NOW, view)


@given(st.integers(0, 50), st.integers(0, 10), st.integers(0, 3))
def test_schedule_gold_ties_each_gold_clip_once(n_fresh: int, n_gold: int, seed: int) -> None:
    order, gold = [f"c{index}" for index in range(n_fresh)], [f"g{index}" for index in range(n_gold)]
    schedule = schedule_gold(order, gold, 0.3, "a", seed)
    assert set(schedule) <= set(order)
    assert len(set(schedule.values())) == len(schedule) <= n_gold
    assert schedule == schedule_gold(order, gold[::-1], 0.3, "a", seed)


def test_schedule_gold_has_the_stated_share_and_differs_by_rater() -> None:
    order, gold = [f"c{index}" for index in range(4000)], [f"g{index}" for index in range(4000)]
    by_rater = [schedule_gold(order, gold, 0.1, rater, 7) for rater in ("a", "b")]
    for schedule in by_rater:
        assert abs(len(schedule) / (len(schedule) + 4000) - 0.1) < 0.01
    assert by_rater[0] != by_rater[1]
    assert schedule_gold(order, gold, 0.0, "a", 7) == {}


def _label_all(client: Client, words: dict[str, str]) -> list[tuple[str, int]]:
    """Answer every clip; return each clip with the number left before its answer."""
    seen = []
    while (reply := client.ask("next-clips", {"count": 1}))["clips"]:
        (details,) = reply["clips"]
        seen.append((details["clip"], reply["left"]))
        client.ask("answers", clip_answer(details, words.get(details["clip"], "A4C"), len(seen)))
    return seen


def test_gold_clips_are_read_unmarked_and_are_no_labels(tmp_path: Path) -> None:
    file = tmp_path / "raters.json"
    raters, reader = Raters().with_added("reader", adjudicator=False, days=9, today=date.today())
    raters, judge = raters.with_added("judge", adjudicator=True, days=9, today=date.today())
    raters.write(file)
    clips = make_assignments(tmp_path).clip_order()
    reasons = {clip: f"reason {index}" for index, clip in enumerate(clips[:7])}
    assignments = make_assignments(tmp_path, raters=file, gold=0.5, queue=reasons, seed=3)
    label_store, gold = assignments.label_store, clips[7:]
    old = [LabelEvent(clip, "", "PLAX", rater, NOW, "page", kind=kind)
           for clip in gold for rater, kind in (("a", EventKind.LABEL), ("judge", EventKind.ADJUDICATION))]  # fmt: skip
    label_store.append(old)
    label_store.append_clip_events([_gold(clip, "PLAX") for clip in gold])
    with served(assignments) as server:
        client, adjudicator = Client(server.port).enter(reader), Client(server.port).enter(judge)
        total = _facts(client)["Clips to label"]
        details = client.ask("next-clips", {"count": 10})["clips"]
        assert {len(each["reason"]) for each in details} == {len("reason 0")}
        assert len({frozenset(each) for each in details}) == 1  # the same keys
        before = [_facts(client)]
        seen = []
        for reading, each in enumerate(details):
            seen.append(each["clip"])
            now = client.ask(f"clips/{each['clip']}")
            saved = client.ask("answers", clip_answer(now, "A4C", reading))
            assert saved["now"]["own_answer"] == "A4C"
            assert set(saved["now"]) == set(now)
            before.append(_facts(client))
        assert set(gold) & set(seen)
        steps = [{name: int(two[name]) - int(one[name]) for name in ("Done", "Readings left", "Clips to label")}
                 for one, two in pairwise(before)]  # fmt: skip
        assert steps == [{"Done": 1, "Readings left": -1, "Clips to label": 0}] * len(seen)
        assert total == before[-1]["Clips to label"] == before[-1]["Done"]
        assert client.ask("next-clips", {})["left"] == 0
        own_clips = client.ask("search", {"mine": True})["clips"]
        assert {row["clip"] for row in own_clips} == set(seen)
        assert client.refused("raters")[0] == 400
        tables = {table["title"]: table for table in adjudicator.ask("raters")["tables"]}
        n_read = len(set(gold) & set(seen))
        assert tables["Gold clips"]["rows"][0][:6] == ["reader", "all", str(n_read), "0", "0", "0 %"]
        assert tables["Gold clips"]["rows"][0][6].startswith("0.00 to ")
        assert _facts(adjudicator)["Done"] == "7"
    assert [event for event in label_store.events() if event.rater == "reader" and event.clip in gold] == []
    assert len(label_store.events()) == len(old) + 7


def _facts(client: Client) -> dict[str, str]:
    return {row[0]: row[1] for row in client.ask("progress")["tables"][0]["rows"]}


def test_gold_clips_are_corrected_and_retracted_like_any_other(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path).clip_order()
    assignments = make_assignments(tmp_path, gold=0.5)
    assignments.label_store.append_clip_events([_gold(clips[0], "PLAX")])
    with served(assignments) as server:
        client, other = Client(server.port).enter("reader"), Client(server.port).enter("reader")
        details = client.ask(f"clips/{clips[0]}")
        saved = client.ask("answers", clip_answer(details, "A4C", 1))
        assert client.ask("answers", clip_answer(details, "A4C", 1))["event"] == saved["event"]  # sent again
        status, content, _ = other.raw("/api/answers", clip_answer(details, "A2C", 2))
        assert status == 409
        assert b"answers" not in content
        again = client.ask(f"clips/{clips[0]}")
        corrected = client.ask("answers", clip_answer(again, "PLAX", 3))
        back = {"answers": [{"clip": clips[0], "event": corrected["event"]}], "at": AT.format(4, 0)}
        client.ask("retractions", back)
        assert client.ask(f"clips/{clips[0]}")["own_answer"] == "A4C"
    assert assignments.label_store.events() == []
    assert len(assignments.label_store.stored_events(gold=True)) == 3


def test_gold_clips_are_not_given_to_a_rater_who_knows_it(tmp_path: Path) -> None:
    clips = make_assignments(tmp_path).clip_order()
    suggestions = {clip: Suggestion("A4C", 0.9, "run") for clip in clips[:4]}
    settings: dict[str, Any] = {"gold": 0.5, "seed": 2}
    assignments = make_assignments(tmp_path, suggestions=suggestions, **settings)
    assignments.label_store.append([LabelEvent(clips[9], "", "A4C", "knows", NOW, "page")])
    assignments.label_store.append_clip_events([_gold(clips[9], "PLAX"), _gold(clips[0], "A4C")])
    assignments.refresh()
    assert clips[9] in assignments.clips_left("new")
    assert clips[9] not in assignments.clips_left("knows")
    assert clips[0] not in assignments.grid("new", "A4C", 30)
    assert clips[0] in assignments.clips_left("new")
    suggesting = make_assignments(tmp_path, suggestions=suggestions, suggest=True, **settings)
    suggesting.refresh()
    assert clips[9] not in suggesting.clips_left("new")  # without a suggestion among clips that have one
