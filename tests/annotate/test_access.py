"""Whether everybody can use the page: by touch alone, by keyboard alone, by ear, and whatever colours they see."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from heart2heart.annotate.suggestions import Suggestion
from tests.annotate.browsing import Enter, settled
from tests.annotate.support import make_assignments, served

STYLE = (resources.files("heart2heart.annotate") / "static" / "style.css").read_text(encoding="utf-8")
PAIRS = (
    ("ink", "paper"), ("ink", "card"), ("muted", "paper"), ("muted", "card"), ("on-accent", "accent"),
    ("accent", "paper"), ("accent", "card"), ("bad", "bad-back"), ("bad", "paper"), ("banner", "banner-back"),
)  # fmt: skip
"""Text and its ground, as the rules of the style sheet lay them on each other."""

SMALL = """(least) => [...document.querySelectorAll("button, select, input")]
  .filter((one) => one.checkVisibility())
  .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
  .filter(([, box]) => box.width < least || box.height < least)
  .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""
WIDER = "document.documentElement.scrollWidth > innerWidth"
RING = """() => { const here = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(here);
  return [[...document.querySelectorAll("button")].indexOf(here), outlineStyle, parseFloat(outlineWidth)]; }"""


def _luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_curate_page_contrast_follows_its_formula() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_curate_page_text_has_enough_contrast(scheme: str, text: str, ground: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[["light", "dark"].index(scheme)]))
    assert set(colours) - {"line"} == {name for pair in PAIRS for name in pair}
    assert _contrast(colours[text], colours[ground]) >= 4.5


def _fits(page: Page) -> None:
    assert page.evaluate(SMALL, 44) == []
    assert not page.evaluate(WIDER)
    for control in page.locator("button:visible, select:visible, input:visible").all():
        expect(control).to_have_accessible_name(re.compile(r"\S"))


def test_curate_page_works_by_touch_alone(tmp_path: Path, enter: Enter) -> None:
    clips = make_assignments(tmp_path, patients=1).clip_order()
    suggestions = {clip: Suggestion("A4C", 0.9, "run 1") for clip in clips}
    assignments = make_assignments(tmp_path, suggestions=suggestions)
    with served(assignments) as server:
        page = enter(server.address, "Reader 1", tablet=True)
        _fits(page)
        status = page.get_by_role("status").and_(page.locator("#status"))  # read out by a screen reader
        page.get_by_role("button", name="s PSAX").tap()
        expect(status).to_have_text("Saved: PSAX.")
        settled(page)
        page.get_by_role("button", name="Undo").tap()
        expect(status).to_have_text("Retracted.")
        settled(page)
        page.get_by_role("button", name="Confidence").tap()
        page.get_by_role("button", name="unsure").tap()
        expect(status).to_have_text("Saved: unsure.")
        settled(page)
        for name in ("Pause", "Play", "Slower", "Faster", "Less contrast", "More contrast", "Skip", "← Back"):
            page.get_by_role("button", name=name).tap()
        page.get_by_role("button", name="Grid").tap()
        page.get_by_role("button", name="Clip 1, the model says 90 %: wrong").tap()
        _fits(page)
        page.wait_for_timeout(1300)  # a batch that is confirmed faster is asked again
        page.get_by_role("button", name="Confirm 3 as A4C").tap()
        expect(page.get_by_role("status").and_(page.locator("#grid-status"))).to_contain_text("3 saved as A4C")
        page.locator("#unconfirm").tap()
        expect(page.locator("#grid-status")).to_have_text("Retracted: 3 of A4C.")
        page.get_by_role("button", name="Disagreements").tap()
        settled(page)
        _fits(page)
        for name in ("Progress", "Agreement"):
            page.get_by_role("button", name=name, exact=True).tap()
            expect(page.get_by_role("table").first).to_be_visible()
            _fits(page)
    assert [event.confidence for event in assignments.label_store.events() if event.answer == "unsure"] == [1.0]


def test_curate_page_shows_the_focus_on_every_control(tmp_path: Path, enter: Enter) -> None:
    with served(make_assignments(tmp_path, patients=1)) as server:
        page = enter(server.address, "Reader 1")
        seen = set()
        reachable = page.locator("button:visible").count()
        others = page.locator("input:visible, select:visible, a:visible, summary:visible").count()
        for _ in range(reachable + others + 2):
            page.keyboard.press("Tab")
            position, style, width = page.evaluate(RING)
            if position >= 0:  # not the whole document, where the round ends
                assert (style, width >= 2) == ("solid", True)
                seen.add(position)
    assert len(seen) == reachable
