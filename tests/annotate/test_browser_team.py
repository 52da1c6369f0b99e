"""Working together in a real browser: gold clips, filter, links, notes, hand over, quality and marks by keyboard."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from heart2heart.labels.clip_events import ClipEvent, latest_values, parse_marks
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import ClipEventKind, EventKind
from tests.annotate.browsing import Enter, press, settled
from tests.annotate.support import make_assignments, served

AT = "2026-11-28T12:00:00.000Z"
# A closed window's field keeps the focus until the next picture is drawn: a quick key goes there.
_CLOSE_AND_PRESS = """
document.querySelector("#note-window").close();
document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "4", bubbles: true, cancelable: true }));
"""


def test_curate_page_mixes_a_gold_clip_that_looks_like_any_other(tmp_path: Path, enter: Enter) -> None:
    clips = make_assignments(tmp_path, patients=1).clip_order()
    gold = clips[4]
    assignments = make_assignments(tmp_path, gold=0.5, seed=1)
    assignments.label_store.append_clip_events([ClipEvent(gold, ClipEventKind.GOLD, "Judge", AT, "PLAX")])
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        expect(page.locator("#clip-details")).to_contain_text("5 left")
        for left in (4, 3, 2, 1):
            press(page, "l", "PLAX")
            expect(page.locator("#clip-details")).to_contain_text(f"{left} left")
        press(page, "l", "PLAX")
        expect(page.locator("#nothing")).to_have_text("No clip is left for you. Thank you.")
        expect(page.locator("#read")).not_to_contain_text("gold")
        page.get_by_role("button", name="Raters").click()
        expect(page.get_by_role("row", name="Reader 1 all 1 1 0 100 % 0.21 to 1.00")).to_be_visible()
    stored = [entry.event for entry in assignments.label_store.stored_events(gold=True)]
    assert [event.clip for event in stored if event.kind == EventKind.GOLD] == [gold]
    assert sorted(event.clip for event in assignments.label_store.events()) == sorted(set(clips) - {gold})


def test_curate_page_takes_quality_marks_and_a_note_by_keyboard(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    clip = assignments.clip_order()[0]
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        status = page.locator("#status")
        page.keyboard.press("Shift+F")
        expect(status).to_have_text("Quality: fair.")
        page.keyboard.press("Shift+P")
        expect(status).to_have_text("Quality: poor.")
        expect(page.locator("[data-quality=poor]")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Space")
        page.keyboard.press("Shift+D")
        expect(status).to_contain_text("marked as ED.")
        expect(page.locator("[data-phase=ed]")).to_contain_text("1 marked")
        page.keyboard.press("Shift+S")
        expect(status).to_contain_text("marked as ES.")  # a frame has one phase
        expect(page.locator("[data-phase=ed]")).not_to_contain_text("marked")
        page.keyboard.press("Shift+N")
        dialog = page.get_by_role("dialog", name="Note")
        expect(dialog).to_contain_text("A note may hold identity")
        page.keyboard.type("Shadow of a rib. 4")  # a field is open: no answer, no key
        page.keyboard.press("Control+Enter")
        expect(status).to_have_text("Note saved.")
        press(page, "4", "A4C")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("[data-quality=poor]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[data-phase=es]")).to_contain_text("1 marked")
    events = [event for _, event in assignments.label_store.clip_events()]
    assert latest_values(events, ClipEventKind.QUALITY) == {clip: {"Reader 1": "poor"}}
    assert latest_values(events, ClipEventKind.NOTE) == {clip: {"Reader 1": "Shadow of a rib. 4"}}
    marks = parse_marks(latest_values(events, ClipEventKind.MARKS)[clip]["Reader 1"])
    assert (marks["ed"], len(marks["es"])) == ([], 1)
    assert [event.value for event in assignments.label_store.events()] == ["A4C"]


def test_curate_page_takes_a_key_that_follows_a_closed_window_at_once(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        page.keyboard.press("Shift+N")
        page.locator("#note-text").fill("Before the next picture is drawn, the field keeps the focus.")
        page.evaluate(_CLOSE_AND_PRESS)
        expect(page.locator("#status")).to_have_text("Saved: A4C.")
    assert [event.value for event in assignments.label_store.events()] == ["A4C"]


def test_curate_page_filters_and_follows_a_link(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=2)
    first, second, *_, last = assignments.clip_order()
    assignments.label_store.append([LabelEvent(first, "", "A4C", "Reader 1", AT, "csv:usual")])
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        page.keyboard.press("Shift+Q")
        expect(page.locator("#search-count")).to_have_text("10 clips.")
        page.get_by_label("I answered").check()
        expect(page.locator("#search-count")).to_have_text("1 clip.")
        assert page.url.endswith("#page=search&mine=1")
        page.reload()  # the address keeps the filter
        expect(page.locator("#search-count")).to_have_text("1 clip.")
        page.locator("#found button").click()
        expect(page.locator("[data-word=A4C]")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Shift+L")
        expect(page.locator("#status")).to_contain_text("The link to this clip")
        assert f"clip={first}" in page.url
        other = page.context.new_page()
        other.goto(f"{server.address}#clip={last}")
        settled(other)
        press(other, "l", "PLAX")
        other.close()
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#search-count")).to_have_text("10 clips.")
        page.get_by_label("Clip or study begins with").fill(second)
        expect(page.locator("#search-count")).to_have_text("1 clip.")
        page.get_by_role("button", name="Label only these").click()
        settled(page)
        expect(page.locator("#only")).to_contain_text("Only clips with: clip or study")
        press(page, "s", "PSAX")
        expect(page.locator("#nothing")).to_have_text("No clip is left for you. Thank you.")
    views = {event.clip: event.view for event in assignments.label_store.events()}
    assert views == {first: "A4C", second: "PSAX", last: "PLAX"}


def test_curate_page_hands_a_clip_to_a_colleague(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    clip = assignments.clip_order()[0]
    with served(assignments) as server:
        one = enter(server.address, "Reader 1")
        one.keyboard.press("Shift+H")
        one.get_by_label("Colleague", exact=True).fill("Reader 2")
        one.get_by_label("Message").fill("Please look at the second beat")
        one.get_by_role("button", name="Hand over", exact=True).last.click()
        expect(one.locator("#status")).to_have_text("Handed to Reader 2.")
        two = enter(server.address, "Reader 2")
        two.keyboard.press("Shift+T")
        expect(two.locator("#received")).to_contain_text("Please look at the second beat")
        two.get_by_role("spinbutton", name="Daily goal").fill("20")
        two.get_by_role("button", name="Set").click()
        expect(two.locator("#today")).to_contain_text("0 clips read today of 20; 5 left for you")
        two.locator("#received button").first.click()
        settled(two)
        press(two, "2", "A2C")
        two.get_by_role("button", name="Tasks").click()
        expect(two.locator("#today")).to_contain_text("1 clip read today of 20")
        two.get_by_role("button", name="Done").click()
        expect(two.locator("#received")).to_have_text("None.")
    assert [(event.clip, event.rater, event.view) for event in assignments.label_store.events()] == [
        (clip, "Reader 2", "A2C")
    ]
