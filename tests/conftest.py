"""What holds for every test."""

from __future__ import annotations

from functools import cache

import pytest
import typer.main
from hypothesis import settings

FIRST = ("tests/test_demo.py", "notebooks/", "tests/test_golden.py", "tests/pipelines/", "tests/test_docs.py")
"""Where tests of many seconds lie. They begin first, so that no process is left with one of them at the end."""

# How long an example takes says nothing on a machine with other work; pytest's own timeout ends what hangs.
settings.register_profile("heart2heart", deadline=None)
settings.load_profile("heart2heart")


def pytest_configure() -> None:
    """Build the commands of all verbs once; Typer builds them anew for each call."""
    built_once = cache(typer.main.get_command)
    pytest.MonkeyPatch().setattr("typer.testing._get_command", built_once, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `FIRST` before all others."""
    items.sort(key=lambda item: next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)))
