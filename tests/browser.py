"""Where Chromium is, for tests that open a page: missing, they skip on a user's machine and fail in CI."""

from __future__ import annotations

import os
import shutil

import pytest

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


def chromium(what: str) -> str:
    """Return the path of Chromium, or end the test: `what` has not been opened in a browser."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have Chromium: {what} has not been opened in a browser")
        pytest.skip(f"Chromium is not installed: {what} has not been opened in a browser")
    return browser
