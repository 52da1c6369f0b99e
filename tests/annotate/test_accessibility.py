"""Every page and window of the labeling page is accessible, in light and in dark colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from heart2heart.annotate.suggestions import Suggestion
from heart2heart.labels.clip_events import ClipEvent, handover_text
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import ClipEventKind
from tests.annotate.accessibility import violations
from tests.annotate.browsing import Enter, settled
from tests.annotate.support import make_assignments, served

AT = "2026-11-28T12:00:00.000Z"


def _open_page(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def _window(key: str) -> Callable[[Page], None]:
    def show(page: Page) -> None:
        page.get_by_role("button", name="Label", exact=True).click()
        settled(page)
        page.keyboard.press(key)
        expect(page.locator("dialog[open]")).to_be_visible()

    return show


PAGES: Mapping[str, Callable[[Page], None]] = {
    "Label": settled,
    "Grid": _open_page("Grid"),
    "Disagreements": _open_page("Disagreements"),
    "Search": _open_page("Search"),
    "Tasks": _open_page("Tasks"),
    "Progress": _open_page("Progress"),
    "Agreement": _open_page("Agreement"),
    "Raters": _open_page("Raters"),
    "keys": _window("?"),
    "note": _window("Shift+N"),
    "hand over": _window("Shift+H"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_curate_page_is_accessible_on_every_page(
    tmp_path: Path, enter: Enter, scheme: Literal["light", "dark"]
) -> None:
    clips = make_assignments(tmp_path, patients=1).clip_order()
    suggestions = {clip: Suggestion("A4C", 0.9, "run 1") for clip in clips}
    assignments = make_assignments(tmp_path, suggestions=suggestions, readings={clips[0]: 2})
    readings = zip(("a", "b"), ("A4C", "A2C"), strict=True)
    assignments.label_store.append([LabelEvent(clips[0], "", view, rater, AT, "page") for rater, view in readings])
    task = ClipEvent(clips[1], ClipEventKind.HANDOVER, "a", AT, handover_text("Reader 1", "second beat"))
    assignments.label_store.append_clip_events([task])
    problems = []
    with served(assignments) as server:
        page = enter(server.address, "Reader 1")
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for name, show in PAGES.items():
            show(page)
            page.wait_for_timeout(300)
            problems += [f"{name}: {problem}" for problem in violations(page)]
            page.keyboard.press("Escape")
    assert not problems, "\n".join(problems)


def test_curate_page_checks_name_a_nameless_button_and_faint_text(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("H2H_AXE", raising=False)
    page = browser.new_page()
    page.set_content("<html lang=en><title>x</title><main><button></button><p style='color:#aaa'>faint</p></main>")
    assert violations(page) == ["a button has no name", 'contrast 2.32 of "faint"']
    page.close()
