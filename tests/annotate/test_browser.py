"""The page in a real browser: a study read twice by keyboard, conflicts, rulings, a grid, and a killed server."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from playwright.sync_api import expect

from heart2heart.annotate.suggestions import Suggestion
from heart2heart.labels.consensus import consensus_labels
from heart2heart.labels.events import active_events
from heart2heart.labels.exporting import export_events
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import EventKind
from heart2heart.testing.stores import random_store
from tests.annotate.browsing import Enter, loaded, painted, press, press_unsaved, settled
from tests.annotate.support import make_assignments, served
from tests.annotate.test_load import free_port, running


def test_curate_page_reads_a_study_twice_and_decides(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1, double=1.0)
    with served(assignments) as server:
        one = enter(server.address, "Reader 1")
        expect(one.locator("#sheet li")).to_have_count(5)
        assert one.get_by_role("button", name="4 A4C Apical four chamber").is_visible()
        expect(one.get_by_role("button", name="Clip 1 of the study, on the screen")).to_be_visible()
        expect(one.locator("#synthetic")).to_be_visible()
        press(one, "l", "PLAX")
        one.keyboard.press("c")
        expect(one.locator("#sure")).to_contain_text("certain")
        press(one, "s", "PSAX")
        press(one, "o", "OTHER")
        one.keyboard.press("z")
        expect(one.locator("#status")).to_have_text("Retracted.")
        settled(one)
        press(one, "4", "A4C")
        one.get_by_role("button", name="2 A2C").click()  # as on a tablet
        expect(one.locator("#status")).to_have_text("Saved: A2C.")
        settled(one)
        press(one, "x", "unusable")
        expect(one.locator("#nothing")).to_have_text("No clip is left for you. Thank you.")
        two = enter(server.address, "Reader 2")
        for key, word in (("l", "PLAX"), ("2", "A2C"), ("4", "A4C"), ("2", "A2C"), ("x", "unusable")):
            expect(two.locator("#hint")).to_be_hidden()
            press(two, key, word)
        two.get_by_role("button", name="Disagreements").click()
        expect(two.locator("#hint")).to_contain_text("You read this clip yourself and answered A2C")
        judge = enter(server.address, "Judge")
        judge.get_by_role("button", name="Disagreements").click()
        expect(judge.locator("#hint")).to_have_text("The readers answered: A2C / PSAX")
        settled(judge)
        press(judge, "s", "PSAX")
        expect(judge.locator("#nothing")).to_have_text("No disagreement is left.")
        judge.get_by_role("button", name="Progress").click()
        expect(judge.get_by_role("row", name="Done 5")).to_be_visible()
        judge.get_by_role("button", name="Agreement", exact=True).click()
        expect(judge.get_by_role("row", name="Reader 1 Reader 2 5 4 80 %")).to_be_visible()
    clips = assignments.clip_order()
    truth = dict(zip(clips, ("PLAX", "PSAX", "A4C", "A2C", "unusable"), strict=True))
    assert consensus_labels(assignments.label_store.events(), "adjudicated") == truth
    assert consensus_labels(assignments.label_store.events(), "unanimous") == {
        clip: word for clip, word in truth.items() if word != "PSAX"
    }
    events = assignments.label_store.events()
    assert export_events(assignments.label_store, tmp_path / "events.csv").written == len(events) == 13
    assert [event.kind for event in events].count(EventKind.RETRACTION) == 1
    assert [event.confidence for event in events if event.clip == clips[1]] == [1.0, None, None]
    assert all(event.frame_hash == assignments.catalog.clips[event.clip].frame_hash for event in events)
    assert all(event.seconds is not None and event.seconds > 0.15 for event in events if event.kind != "retraction")
    assert not any(event.suggestion_shown for event in events)


def test_curate_page_in_two_windows_with_a_hundred_fast_presses(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=2)
    clip = assignments.clip_order()[0]
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        other = page.context.new_page()
        other.goto(server.address)
        settled(other)
        press(page, "l", "PLAX")
        other.keyboard.press("s")
        dialog = other.get_by_role("dialog")
        expect(dialog).to_contain_text("You answered PSAX. This clip got a label while it was on the screen.")
        expect(dialog).to_contain_text("In the label store now: you answered PLAX.")
        other.keyboard.press("2")  # a dialog is open: this is no answer
        other.get_by_role("button", name="Look at the clip again").click()
        expect(other.locator("[data-word=PLAX]")).to_have_attribute("aria-pressed", "true")
        settled(other)
        press(other, "4", "A4C")
        other.close()
        assert [event.view for event in assignments.label_store.events()] == ["PLAX", "A4C"]
        for _ in range(100):
            page.keyboard.press("s")
        while page.evaluate("Object.keys(localStorage).length"):
            page.wait_for_timeout(20)
        settled(page)
    later = [event for event in assignments.label_store.events() if event.clip != clip]
    assert 1 <= len(later) <= 9
    assert len({event.clip for event in later}) == len(later)
    assert {event.view for event in later} == {"PSAX"}
    assert all(event.seconds is not None and event.seconds >= 0.15 for event in later)  # none that nobody saw


def test_curate_grid_confirms_the_clips_not_marked(tmp_path: Path, enter: Enter) -> None:
    clips = make_assignments(tmp_path, patients=1).clip_order()
    suggestions = {clip: Suggestion("A4C", 0.9 - index / 100, "run 1") for index, clip in enumerate(clips)}
    assignments = make_assignments(tmp_path, suggestions=suggestions)
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        page.get_by_role("button", name="Grid").click()
        expect(page.locator("#tiles li")).to_have_count(5)
        page.evaluate("performance.now = () => 0")  # nobody looks at five clips in no time
        page.get_by_label("Suggested view").select_option("A4C")
        page.get_by_label("Suggested view").dispatch_event("change")
        expect(page.locator("#tiles li").first).to_contain_text("90 %")
        page.get_by_role("button", name="Clip 2, the model says 89 %: wrong").click()
        page.get_by_role("button", name="Confirm 4 as A4C").click()
        status = page.locator("#grid-status")
        expect(status).to_have_text("5 clips in 0.0 s: nobody can look at them so fast. Look again, then confirm.")
        assert {assignments.status(clip) for clip in clips} == {"unread"}
        page.evaluate("delete performance.now")
        page.get_by_role("button", name="Confirm 4 as A4C").click()
        expect(status).to_have_text("4 saved as A4C, 1 sent to Label.")
        page.keyboard.press("z")
        expect(status).to_have_text("Retracted: 4 of A4C.")
        assert {assignments.status(clip) for clip in clips} == {"unread"}
        expect(page.locator("#tiles [aria-pressed=true]")).to_have_accessible_name("Clip 2, the model says 89 %: wrong")
        page.keyboard.press("z")
        expect(status).to_have_text("Nothing to undo.")
        page.wait_for_timeout(1300)
        page.get_by_role("button", name="Confirm 4 as A4C").click()
        expect(status).to_have_text("4 saved as A4C, 1 sent to Label.")
        page.get_by_role("button", name="Label").click()
        settled(page)
        expect(page.locator("#clip-details")).to_contain_text("1 left")
    taken_back = {event.retracts for event in assignments.label_store.events()}
    assert len(taken_back - {""}) == 4
    events = active_events(assignments.label_store.events())
    assert sorted(event.clip for event in events) == sorted(set(clips) - {clips[1]})
    assert {(event.view, event.suggestion, event.suggestion_shown) for event in events} == {("A4C", "A4C", True)}


def test_curate_grid_is_confirmed_when_every_tile_was_on_the_screen(tmp_path: Path, enter: Enter) -> None:
    clips = make_assignments(tmp_path, patients=6).clip_order()
    suggestions = {clip: Suggestion("A4C", 0.9, "run 1") for clip in clips}
    with served(make_assignments(tmp_path, suggestions=suggestions)) as server:
        page = enter(server.address, "Reader 1")
        page.set_viewport_size({"width": 900, "height": 500})
        page.get_by_role("button", name="Grid").click()
        expect(page.locator("#tiles li")).to_have_count(30)
        expect(page.locator("#confirm")).to_have_text(re.compile(r"\d+ clips not seen yet: scroll"))
        expect(page.locator("#confirm")).to_be_disabled()
        for tile in page.locator("#tiles li").all():
            tile.scroll_into_view_if_needed()
            painted(page)
        expect(page.locator("#confirm")).to_have_text("Confirm 30 as A4C")
        expect(page.locator("#confirm")).to_be_enabled()


def test_curate_page_reports_a_killed_server_and_loses_nothing(tmp_path: Path, enter: Enter) -> None:
    random_store(tmp_path / "store", sites=["A"], patients=2)
    port = free_port()
    with running(tmp_path, port) as process:
        page = enter(f"http://127.0.0.1:{port}/", "Reader 1")
        press(page, "l", "PLAX")
        loaded(page, 4)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        for key in "ls":
            press_unsaved(page, key)
        expect(page.get_by_role("alert").filter(has_text="NOT SAVED")).to_contain_text("2 answers wait")
    with running(tmp_path, port):
        expect(page.locator("#trouble")).to_be_hidden()
        deadline = time.monotonic() + 120
        while len(LabelStore(tmp_path / "labels.db").events()) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert [event.view for event in LabelStore(tmp_path / "labels.db").events()] == ["PLAX", "PLAX", "PSAX"]
