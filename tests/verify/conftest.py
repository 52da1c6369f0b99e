"""Fixtures of the tests of the search for identities."""

from __future__ import annotations

import pytest


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocks be so small that needles cross their borders."""
    monkeypatch.setattr("heart2heart.verify.streams.BLOCK", 16)
