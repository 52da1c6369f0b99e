"""What a rater does in a browser, and how long the tests wait for it."""

from __future__ import annotations

from typing import Protocol

from playwright.sync_api import Page, expect

PATIENCE = 30_000  # milliseconds
_SHOWN = "performance.getEntriesByName('clip shown').length"  # clips that were on the screen
expect.set_options(timeout=PATIENCE)


class Enter(Protocol):
    """Opens the page as a rater, in a browser of its own."""

    def __call__(self, address: str, secret: str, *, tablet: bool = False) -> Page:
        """Return the page with the first clip on the screen."""


def settled(page: Page) -> None:
    """Wait until a clip was on the screen for long enough to be answered, or none is left."""
    page.locator("#read[aria-busy=false]").wait_for()
    page.wait_for_timeout(180)


def press(page: Page, key: str, word: str) -> None:
    """Answer by key, and wait until the answer is told as saved and the next clip is on the screen, or none is left."""
    press_unsaved(page, key)
    expect(page.locator("#status")).to_have_text(f"Saved: {word}.")


def press_unsaved(page: Page, key: str) -> None:
    """Answer by key, and wait until the next clip is on the screen, or none is left."""
    shown = page.evaluate(_SHOWN)
    page.keyboard.press(key)
    page.wait_for_function(f"(shown) => {_SHOWN} > shown || !document.querySelector('#nothing').hidden", arg=shown)
    settled(page)


def loaded(page: Page, clips: int) -> None:
    """Wait until the frames of so many clips have come from the server."""
    frames = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/frames')).length"
    page.wait_for_function(f"(clips) => {frames} >= clips", arg=clips)


def painted(page: Page) -> None:
    """Wait until the browser has drawn the page and told what is on the screen."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
    )
