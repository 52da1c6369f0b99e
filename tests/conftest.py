"""What holds for every test."""

from __future__ import annotations

import gc
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


TEMPORARY_ROOT = "PYTEST_DEBUG_TEMPROOT"
"""The variable that names the folder in which pytest makes its temporary folders."""


def _in_memory(folder: Path = Path("/dev/shm"), least: int = 8 * 2**30) -> bool:
    """Return whether a folder in memory can be written and has room for what the tests write."""
    if not os.access(folder, os.W_OK):
        return False
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize >= least


# The tests write thousands of files that are flushed one by one, which takes milliseconds on a disk and none in memory.
if TEMPORARY_ROOT not in os.environ and _in_memory():
    os.environ[TEMPORARY_ROOT] = "/dev/shm"

# The audit records of the tests go into one file of this process, not beside the files of each test.
AUDIT_FOLDER = Path(tempfile.mkdtemp(prefix="heart2heart-audit-", dir=os.environ.get(TEMPORARY_ROOT)))
os.environ["HEART2HEART_AUDIT_LOG"] = str(AUDIT_FOLDER / "audit.jsonl")


def pytest_unconfigure() -> None:
    """Remove the audit log of the tests."""
    shutil.rmtree(AUDIT_FOLDER, ignore_errors=True)


def pytest_configure() -> None:
    """Build the commands of all verbs once; Typer builds them anew for each call."""
    built_once = cache(typer.main.get_command)
    pytest.MonkeyPatch().setattr("typer.testing._get_command", built_once, raising=False)


def pytest_collection_finish() -> None:
    """Take libraries and tests out of garbage collection, which otherwise takes a seventh of the processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `FIRST` before all others."""
    items.sort(key=lambda item: next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)))
