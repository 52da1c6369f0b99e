"""The viewer in a real browser: full size, steps, loop, zoom, and what it does without a usable viewing copy."""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from heart2heart.store.viewing_copies import viewing_path
from tests.annotate.browsing import PATIENCE, Enter, press, settled
from tests.annotate.support import make_assignments, served
from tests.annotate.viewing_kit import add_viewing_copies

PIXEL = """([x, y]) => {
  const canvas = document.getElementById("clip");
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, -Math.round(x * canvas.width), -Math.round(y * canvas.height));
  return [...copy.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""


def drawn(page: Page, colours: dict[float, str]) -> None:
    """Wait until the canvas has these colours (`red`, `white`, `black`) in its middle row, by share of the width."""
    deadline = time.monotonic() + PATIENCE / 1000
    while (seen := {x: _pixel(page, x) for x in colours}) != colours:
        assert time.monotonic() < deadline, seen
        page.wait_for_timeout(20)


def _pixel(page: Page, x: float) -> str:
    red, green, _ = page.evaluate(PIXEL, [x, 0.5])
    return "white" if green > 150 else "red" if red > 120 else "black"


def at_frame(page: Page, number: int) -> None:
    expect(page.locator("#frame-position")).to_have_text(re.compile(rf"^Frame {number} of 8, "))


def test_curate_page_steps_loops_and_zooms_by_key_at_full_size_and_labels(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    clips = assignments.clip_order()
    add_viewing_copies(tmp_path / "store", clips)
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        expect(page.locator("#viewer-note")).to_be_hidden()
        expect(page.locator("#clip-details")).to_contain_text("8 frames")
        page.keyboard.press(",")  # pauses, and goes one frame back
        expect(page.locator("#play")).to_contain_text("Play")
        page.get_by_role("slider", name="Frame").fill("2")
        at_frame(page, 3)
        drawn(page, {60 / 320: "red", 100 / 320: "white", 140 / 320: "red"})  # in colour
        page.keyboard.press(".")
        at_frame(page, 4)
        drawn(page, {140 / 320: "white"})
        page.keyboard.press("[")
        page.keyboard.press(".")
        page.keyboard.press("]")
        expect(page.locator("#frame-position")).to_have_text("Frame 5 of 8, 0.20 s, loop 4 to 5")
        page.keyboard.press(" ")
        page.wait_for_timeout(700)  # several rounds
        expect(page.locator("#frame-position")).to_have_text(re.compile("^Frame [45] of 8"))
        page.keyboard.press(",")
        page.get_by_role("slider", name="Frame").fill("0")
        at_frame(page, 1)
        page.locator("#scrub").blur()  # which has the paging keys for itself
        page.keyboard.press("PageUp")
        page.keyboard.press("PageUp")
        page.keyboard.press("Shift+ArrowLeft")  # towards the left edge, at most
        for _ in range(9):
            page.keyboard.press("Shift+ArrowLeft")
        drawn(page, {0.15: "white", 0.25: "red"})  # 40 pixels of 320, enlarged 1.56 times
        page.keyboard.press("0")
        drawn(page, {0.1: "white", 0.15: "red"})
        page.mouse.move(300, 300)
        page.mouse.wheel(0, -100)
        drawn(page, {0.1: "red"})  # which was white
        page.get_by_role("button", name="Whole picture, levels as recorded").click()
        page.get_by_role("slider", name="Gamma").fill("200")
        assert "levels" in page.locator("#clip").evaluate("canvas => canvas.style.filter")
        marks = "clip => dispatchEvent(new CustomEvent('marks', { detail: { clip, marks: { ed: [2], es: [6] } } }))"
        page.evaluate(marks, clips[0])
        expect(page.locator("#marks")).to_have_text("EDES")
        assert page.locator("#marks .es").evaluate("mark => mark.style.left").startswith("42.8")  # picture 3 of 0 to 7
        press(page, "l", "PLAX")
    assert [event.view for event in assignments.label_store.events()] == ["PLAX"]


def test_curate_page_shows_four_clips_of_the_study_and_jumps_to_one(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    add_viewing_copies(tmp_path / "store", assignments.clip_order())
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        page.keyboard.press("*")
        expect(page.locator("#side-by-side canvas")).to_have_count(4)
        expect(page.locator("#single")).to_be_hidden()
        page.get_by_role("button", name="Show clip 3 of the study alone").press("Enter")
        expect(page.locator("#single")).to_be_visible()
        expect(page.get_by_role("button", name="Clip 3 of the study, on the screen")).to_be_visible()
        settled(page)
        page.keyboard.press("*")
        page.get_by_role("button", name="Four clips").click()
        expect(page.locator("#side-by-side")).to_be_hidden()


def test_curate_page_falls_back_to_the_frames_in_one_line(tmp_path: Path, enter: Enter) -> None:
    assignments = make_assignments(tmp_path, patients=1)
    whole, damaged = assignments.clip_order()[:2]
    root = tmp_path / "store"
    add_viewing_copies(root, [whole, damaged])
    path = viewing_path(root, damaged)
    data = bytearray(path.read_bytes())
    data[-200] ^= 1  # in the last picture
    path.write_bytes(data)
    note = "shown at 16 pixels, in gray."
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        expect(page.locator("#viewer-note")).to_be_hidden()
        press(page, "l", "PLAX")
        expect(page.locator("#viewer-note")).to_have_text(f"The viewing copy of this clip is damaged: {note}")
        page.keyboard.press(".")
        expect(page.locator("#frame-position")).to_contain_text("of 3, ")
        press(page, "s", "PSAX")
        expect(page.locator("#viewer-note")).to_have_text(f"No viewing copy of this clip is kept: {note}")
        page.keyboard.press("z")
        expect(page.locator("#status")).to_have_text("Retracted.")
        page.evaluate("() => { window.createImageBitmap = () => Promise.reject(new DOMException('none')); }")
        page.get_by_role("button", name="Clip 1 of the study").click()
        expect(page.locator("#viewer-note")).to_have_text(f"This browser cannot decode the viewing copy: {note}")
        settled(page)
        press(page, "l", "PLAX")
    assert [event.view for event in assignments.label_store.events()] == ["PLAX", "PSAX", "", "PLAX"]
