"""What holds for every test."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest
import typer.main
from hypothesis import settings

FIRST = ("tests/test_demo.py", "notebooks/", "tests/test_golden.py", "tests/pipelines/", "tests/test_docs.py")
"""Where tests of many seconds lie. They begin first, so that no process is left with one of them at the end."""

# How long an example takes says nothing on a machine with other work; pytest's own timeout ends what hangs.
settings.register_profile("heart2heart", deadline=None)
settings.load_profile("heart2heart")


# The audit records of the tests go into one file of this process, not beside the files of each test.
AUDIT_FOLDER = Path(tempfile.mkdtemp(prefix="heart2heart-audit-"))
os.environ["HEART2HEART_AUDIT_LOG"] = str(AUDIT_FOLDER / "audit.jsonl")


def pytest_unconfigure() -> None:
    """Remove the audit log of the tests."""
    shutil.rmtree(AUDIT_FOLDER, ignore_errors=True)


def pytest_configure() -> None:
    """Build the commands of all verbs once; Typer builds them anew for each call."""
    built_once = cache(typer.main.get_command)
    pytest.MonkeyPatch().setattr("typer.testing._get_command", built_once, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `FIRST` before all others."""
    items.sort(key=lambda item: next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)))
