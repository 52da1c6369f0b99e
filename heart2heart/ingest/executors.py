"""Run the worker over many files, in this process or in several, with the outcomes in the order of the files.

The order makes the result independent of the number of processes: of two files with the same content the first is
the accepted one, always. A process has one file in work and at most one waiting, so the file that a death, a timeout or
a lack of memory is owed to is known, and it alone pays; the waiting one goes to another process.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path

from heart2heart.errors import ConfigError, Heart2HeartError
from heart2heart.ingest.settings import Limits
from heart2heart.ingest.worker import FileOutcome, WorkerProcess
from heart2heart.schema.status import StatusCode

FileTask = Callable[[Path], FileOutcome]

_AHEAD = 4  # files per process that may be in work or waiting to be collected; limits the memory of waiting clips


def run_ordered(
    work: FileTask, paths: Sequence[Path], workers: int, limits: Limits | None = None
) -> Iterator[FileOutcome]:
    """Yield the outcome of each path, in order.

    Args:
        work: The task, picklable; called with each path.
        paths: The files.
        workers: Number of worker processes. 0 works in this process, where `limits` do not hold and a codec that
            crashes ends the run.
        limits: Limits of one file; by default `Limits()`.

    Raises:
        ConfigError: worker processes cannot start.
    """
    if workers == 0 or not paths:
        yield from map(work, paths)
        return
    pool = _WorkerPool(work, paths, min(workers, len(paths)), limits or Limits())
    try:
        yield from pool.outcomes()
    finally:
        pool.shut_down()


class FilePool:
    """Worker processes that stay, for files that come over time.

    Args:
        work: The task, picklable; called with each path.
        workers: Number of worker processes. 0 works in this process.
        limits: Limits of one file.

    Raises:
        ConfigError: worker processes cannot start.
    """

    def __init__(self, work: FileTask, workers: int, limits: Limits) -> None:
        self._work, self._pool = work, _WorkerPool(work, [], workers, limits) if workers else None

    def outcomes(self, paths: Sequence[Path]) -> Iterator[FileOutcome]:
        """Yield the outcome of each path, in order; take all of them before the next call."""
        if self._pool is None:
            yield from map(self._work, paths)
            return
        self._pool.begin(paths)
        yield from self._pool.outcomes()

    def close(self) -> None:
        """End all processes at once."""
        if self._pool is not None:
            self._pool.shut_down()


class _WorkerPool:
    """The worker processes, the files that wait for one, and the outcomes that wait for their turn."""

    def __init__(self, work: FileTask, paths: Sequence[Path], workers: int, limits: Limits) -> None:
        self.work, self.limits = work, limits
        self.window = workers * _AHEAD
        self.begin(paths)
        self.children: list[WorkerProcess] = []
        try:
            for _ in range(workers):
                self.children.append(WorkerProcess(work, limits))
        except BaseException:
            self.shut_down()
            raise

    def begin(self, paths: Sequence[Path]) -> None:
        """Take the paths of the next outcomes."""
        self.paths = paths
        self.waiting = deque(range(len(paths)))
        self.done: dict[int, FileOutcome] = {}

    def outcomes(self) -> Iterator[FileOutcome]:
        """Yield the outcomes in order."""
        for due in range(len(self.paths)):
            while due not in self.done:
                self._hand_out(due)
                self._collect()
            yield self.done.pop(due)

    def shut_down(self) -> None:
        """End all processes at once."""
        for child in self.children:
            child.kill()

    def _hand_out(self, due: int) -> None:
        # Idle processes come first, so that no file waits behind another while a process has nothing to do.
        for capacity in (1, 2):
            for child in self.children:
                if self.waiting and self.waiting[0] < due + self.window and len(child.files) < capacity:
                    child.submit(self.waiting[0], self.paths[self.waiting.popleft()])

    def _collect(self) -> None:
        """Wait for the next message, death or timeout of a process, and record it."""
        left = min(child.deadline for child in self.children) - time.monotonic()
        ready = wait([child.pipe for child in self.children], max(0.0, left))
        for slot, child in enumerate(self.children):
            if child.pipe in ready:
                try:
                    message = child.receive()
                except Heart2HeartError:
                    raise
                except (EOFError, OSError):
                    self._replace_dead(slot, child.exit_reason())
                else:
                    self.done.update([] if message is None else [message])
            elif child.deadline <= time.monotonic() and not child.pipe.poll():
                self._replace_dead(slot, StatusCode.FAILED_TIMEOUT)

    def _replace_dead(self, slot: int, code: StatusCode) -> None:
        """Record `code` for the current file, requeue the file that waited, and start another process."""
        child = self.children[slot]
        child.kill()
        if not child.ready:
            remedy = "Call it under `if __name__ == '__main__':` in a script that can be imported, or use workers=0"
            raise ConfigError("worker processes cannot start", remedy=remedy)
        if child.files:
            self.done[child.files.popleft()] = FileOutcome(code)
        self.waiting.extendleft(reversed(child.files))
        self.children[slot] = WorkerProcess(self.work, self.limits)
