"""The definitions of the views on the page: text, drawings, and the examples that an adjudicator marks."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import expect

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.view_definitions import DRAWINGS
from heart2heart.api import add_rater
from heart2heart.schema.review import ReviewDecision
from heart2heart.schema.taxonomy import read_taxonomy
from heart2heart.store.record_review import record_review
from tests.annotate.browsing import Enter, press
from tests.annotate.support import AT, Client, clip_answer, make_assignments, served
from tools.view_drawings import drawings

USUAL = read_taxonomy("usual")
FOLDER = files("heart2heart.annotate") / DRAWINGS


@pytest.mark.parametrize("name", ["A4C", "PSAX_AV", "SUBCOSTAL_IVC", "TEE_4C", "ZOOM_MV", "OTHER", "ZOOM", "TEE"])
def test_drawings_are_what_the_tool_draws(name: str) -> None:
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == drawings()[name]().svg()


def test_drawings_name_structures_of_known_views() -> None:
    names = {item.name.removesuffix(".svg") for item in FOLDER.iterdir()}
    assert names == set(drawings()) == set(USUAL.views)
    for name in names:
        drawing = ElementTree.fromstring((FOLDER / f"{name}.svg").read_text(encoding="utf-8"))
        words = {element.text for element in drawing.iter() if element.tag.endswith("text")}
        assert words
        assert words <= {"LV", "RV", "LA", "RA", "Ao", "PA", "rPA", "arch", "IVC", "SVC", "liver"}


def _assignments(folder: Path) -> tuple[Assignments, dict[str, str]]:
    """Return assignments by the taxonomy `usual`, and the tokens of a reader and of an adjudicator."""
    file = folder / "raters.json"
    tokens = {name: add_rater(file, name, adjudicator=name == "Chief") for name in ("Reader", "Chief")}
    make_assignments(folder).label_store.adopt_taxonomy(USUAL)
    return make_assignments(folder, raters=file), tokens


def _example(clip: str, *, keep: bool = True) -> dict[str, object]:
    return {"clip": clip, "keep": keep, "at": AT.format(30, 0)}


def test_definitions_show_examples_that_an_adjudicator_marked(tmp_path: Path) -> None:
    assignments, tokens = _assignments(tmp_path)
    with served(assignments) as server:
        reader, chief = (Client(server.port).enter(tokens[name]) for name in ("Reader", "Chief"))
        details = reader.ask("next-clips", {"count": 2})["clips"]
        clip, unread = (each["clip"] for each in details)
        reader.ask("answers", clip_answer(details[0], "PSAX_AV"))
        assert reader.refused("examples", _example(clip))[0] == 400
        assert "must be decided" in chief.refused("examples", _example(unread))[1]
        assert chief.ask("examples", _example(clip)) == {"view": "PSAX_AV", "example": True}
        shown = {view["name"]: view for view in reader.ask("definitions")["views"]}
        assert list(shown)[1:3] == ["PSAX", "PSAX_AV"]
        assert shown["PSAX_AV"] == {
            "name": "PSAX_AV", "title": "Short axis, aortic valve", "depth": 1, "drawing": True, "examples": [clip],
            "definition": USUAL.views["PSAX_AV"].definition,
        }  # fmt: skip
        assert not any(view["examples"] for name, view in shown.items() if name != "PSAX_AV")
        status, drawing, headers = reader.raw("/drawings/PSAX_AV.svg")
        assert (status, headers["content-type"], drawing[:4]) == (200, "image/svg+xml", b"<svg")
        # A person hides the clip: the page shows it no longer.
        record_review(tmp_path / "store", [clip], ReviewDecision.HIDDEN, reviewer="Reader 1", reason="seen")
        assert not any(view["examples"] for view in reader.ask("definitions")["views"])
        record_review(tmp_path / "store", [clip], ReviewDecision.UNDONE, reviewer="Reader 1", reason="seen")
        assert chief.ask("examples", _example(clip, keep=False))["example"] is False
        assert not any(view["examples"] for view in reader.ask("definitions")["views"])
    assert [event.view for event in assignments.label_store.events()] == ["PSAX_AV"], "an example is no label"


def test_definitions_window_opens_by_its_key_and_marks_the_clip_on_the_screen(tmp_path: Path, enter: Enter) -> None:
    assignments, tokens = _assignments(tmp_path)
    with served(assignments) as server:
        page = enter(server.address, tokens["Chief"])
        page.keyboard.press("p")
        press(page, "a", "PSAX_AV")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#answers [aria-pressed=true]")).to_contain_text("PSAX AV")
        page.keyboard.press("/")
        window = page.locator("#definitions")
        expect(window).to_be_visible()
        expect(window.locator("li")).to_have_count(len(USUAL.views))
        item = window.locator("li", has_text="Short axis, aortic valve").first
        expect(item).to_contain_text("cusps")
        assert item.get_by_alt_text("Drawing of Short axis, aortic valve").evaluate(
            "image => new Promise(resolve => image.complete ? resolve(image.naturalWidth) : "
            "image.onload = () => resolve(image.naturalWidth))"
        )
        window.get_by_role("button", name="Make the clip on the screen an example").click()
        expect(window.get_by_role("status")).to_have_text("The clip is an example of PSAX AV.")
        expect(item.get_by_role("img", name="Example 1 of Short axis, aortic valve")).to_be_visible()
        page.keyboard.press("Escape")
        expect(window).to_be_hidden()
        page.get_by_role("button", name="/ Views").click()
        expect(window).to_be_visible()
