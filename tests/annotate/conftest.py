"""A real browser for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, expect, sync_playwright

from tests.annotate.browsing import PATIENCE, Enter, settled
from tests.browser import FLAGS, chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium("the page")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """Open the page by name or token, each in a browser of its own; nothing may be logged or asked elsewhere."""
    noise: list[str] = []
    contexts = []

    def heed(request: Request, address: str) -> None:
        if not request.url.startswith(address):
            noise.append(request.url)

    def as_rater(address: str, secret: str, *, tablet: bool = False) -> Page:
        view: ViewportSize = {"width": 820, "height": 1180} if tablet else {"width": 1280, "height": 900}
        context = browser.new_context(viewport=view, has_touch=tablet, color_scheme="dark" if tablet else "light")
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: heed(request, address))
        page.goto(address)
        page.get_by_role("textbox", name="Your").fill(secret)
        expect(page.locator("#refusal")).to_be_empty()
        page.keyboard.press("Enter")
        settled(page)
        return page

    yield as_rater
    for context in contexts:
        context.close()
    # The browser itself logs every refusal and every lost connection; nothing else may stand there.
    assert [line for line in noise if not line.startswith("Failed to load resource")] == []
