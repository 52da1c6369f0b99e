"""The lock by which one server of the labeling page at a time uses a label store.

The file lies beside the label store (`labels.db.lock`). It names the machine, the process and the time, and is renewed
while the server runs. A lock of a process that ended is stale: it is replaced, and the caller can tell so.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from heart2heart.errors import ConfigError, LabelStoreBusyError, StoreError
from heart2heart.utils import read_json, write_exclusive, write_text

RENEWAL_S = 30.0
"""Seconds after which a running server renews its lock."""
STALE_S = 180.0
"""Seconds without renewal after which a lock of another machine is stale."""
_MAX_TEXT = 200


@dataclass(frozen=True)
class LockOwner:
    """The server that holds a lock.

    Attributes:
        host: Name of its machine.
        process: Number of its process.
        started: When it took the lock, seconds since 1970.
        renewed: When it last renewed the lock, seconds since 1970.
        token: Random text that tells two servers of one process number apart.
    """

    host: str
    process: int
    started: float
    renewed: float
    token: str

    def describe(self, now: float) -> str:
        """Return machine, process and age in words."""
        return f"process {self.process} on {self.host}, started {_age(now - self.started)} ago"


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def lock_path(labels: Path) -> Path:
    """Return the lock file of a label store.

    Examples:
        >>> lock_path(Path("labels.db")).name
        'labels.db.lock'
    """
    return labels.with_name(f"{labels.name}.lock")


class StoreLock:
    """Holds the lock of a label store from its construction until `release`.

    Args:
        labels: The label store.

    Raises:
        LabelStoreBusyError: another server runs on this label store.
    """

    def __init__(self, labels: Path) -> None:
        self._path, self._end = lock_path(labels), threading.Event()
        now = time.time()
        self._owner = LockOwner(platform.node()[:_MAX_TEXT], os.getpid(), now, now, uuid4().hex)
        self.replaced = ""
        """The owner of a stale lock that was replaced, in words; empty without one."""
        while not write_exclusive(self._path, self._text(now), mode=0o600):
            present = read_lock(self._path)
            if present is None and not self._path.exists():
                continue  # given back meanwhile
            if present is not None and not is_stale(present, time.time()):
                remedy = "Open the page of that server, or end it first; a label store has one page at a time"
                owner = present.describe(time.time())
                raise LabelStoreBusyError(f"another page uses this label store ({owner})", where=labels, remedy=remedy)
            if self._remove(present):
                self.replaced = "a damaged lock" if present is None else present.describe(time.time())
        threading.Thread(target=self._renew, daemon=True, name="label store lock").start()

    def _remove(self, stale: LockOwner | None) -> bool:
        """Remove a stale lock, and return whether it was; one that another server took meanwhile stays."""
        aside = self._path.with_name(f"{self._path.name}.{self._owner.token}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return False
        is_same = read_lock(aside) == stale
        if not is_same:
            with suppress(OSError):
                aside.rename(self._path)
        aside.unlink(missing_ok=True)
        return is_same

    def _text(self, now: float) -> str:
        return json.dumps(asdict(self._owner) | {"renewed": now}) + "\n"

    def _holds(self) -> bool:
        present = read_lock(self._path)
        return present is not None and present.token == self._owner.token

    def _renew(self) -> None:
        while not self._end.wait(RENEWAL_S):
            if self._holds():
                write_text(self._path, self._text(time.time()), mode=0o600)

    def release(self) -> None:
        """Give the lock back; a lock that another server took meanwhile stays."""
        self._end.set()
        if self._holds():
            self._path.unlink(missing_ok=True)


def read_lock(path: Path) -> LockOwner | None:
    """Return the owner of a lock; None for a damaged or missing file."""
    try:
        content = read_json(path, what="lock")
        owner = LockOwner(**content)
        numbers = (owner.process, owner.started, owner.renewed)
        if all(isinstance(number, int | float) for number in numbers) and isinstance(owner.host, str):
            return owner
    except (ConfigError, StoreError, OSError, TypeError):
        pass
    return None


def is_stale(owner: LockOwner, now: float) -> bool:
    """Return whether the server of a lock has ended: its process is gone, or it no longer renews the lock.

    Args:
        owner: The owner of the lock.
        now: Present time, seconds since 1970.
    """
    if owner.host == platform.node()[:_MAX_TEXT]:
        try:
            os.kill(int(owner.process), 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            pass
    return now - owner.renewed > STALE_S
