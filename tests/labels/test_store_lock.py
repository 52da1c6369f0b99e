"""The lock of a label store: held by one server, replaced when its server ended."""

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from heart2heart.errors import LabelStoreBusyError
from heart2heart.labels.store_lock import STALE_S, LockOwner, StoreLock, is_stale, lock_path, read_lock


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_store_lock_is_held_by_one_and_given_back(tmp_path: Path) -> None:
    labels = tmp_path / "labels.db"
    lock = StoreLock(labels)
    assert lock.replaced == ""
    assert lock_path(labels).stat().st_mode & 0o077 == 0
    with pytest.raises(LabelStoreBusyError, match=rf"another page uses this label store \(process {os.getpid()} on "):
        StoreLock(labels)
    lock.release()
    assert not lock_path(labels).exists()
    StoreLock(labels).release()


@pytest.mark.parametrize("kind", ["of an ended process", "of a silent machine", "damaged"])
def test_store_lock_replaces_a_stale_lock_and_tells_it(tmp_path: Path, kind: str) -> None:
    labels, now = tmp_path / "labels.db", time.time()
    owner = {"host": platform.node(), "process": os.getpid(), "started": now - 7200, "renewed": now, "token": "x"}
    owner |= {"of an ended process": {"process": _ended_process()}}.get(kind, {})
    owner |= {"of a silent machine": {"host": "elsewhere", "renewed": now - 2 * STALE_S}}.get(kind, {})
    lock_path(labels).write_text("half a lo" if kind == "damaged" else json.dumps(owner))
    lock = StoreLock(labels)
    assert ("damaged lock" if kind == "damaged" else "started 2 h ago") in lock.replaced
    assert [path.name for path in tmp_path.iterdir()] == ["labels.db.lock"]
    lock.release()


def test_release_leaves_the_lock_of_another(tmp_path: Path) -> None:
    labels = tmp_path / "labels.db"
    lock = StoreLock(labels)
    other = LockOwner("elsewhere", 1, 1.0, time.time(), "another")
    lock_path(labels).write_text(json.dumps(asdict(other)))
    lock.release()
    assert read_lock(lock_path(labels)) == other


def test_is_stale_by_renewal_and_process() -> None:
    here = LockOwner(platform.node(), os.getpid(), 0.0, 1000.0, "x")
    assert not is_stale(here, 1001.0)
    assert is_stale(here, 1000.0 + STALE_S + 1)
    assert not is_stale(LockOwner("elsewhere", 2**22 + 1, 0.0, 1000.0, "x"), 1001.0)
