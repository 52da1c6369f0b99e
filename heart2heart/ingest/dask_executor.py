"""Runs a task over many files on a Dask cluster, and returns the outcomes in the order of the files.

This module needs the extra `dask`, so it is imported only for `--dask`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from distributed import Client, Future, KilledWorker, Worker, WorkerPlugin

from heart2heart.errors import ConfigError, Heart2HeartError, RemoteError
from heart2heart.ingest.settings import Limits
from heart2heart.ingest.worker import FileOutcome
from heart2heart.schema.status import StatusCode
from heart2heart.utils import read_json

_CONNECT_S = 30.0  # for the scheduler and its first worker to answer
_NO_WORKERS_S = 60.0  # without any worker, while workers restart
_LEAST_AHEAD = 64  # minimum number of submitted files
_AHEAD = 4  # submitted files per thread of a larger cluster
_POLL_S = 1.0  # between two checks for overdue files
_LAST_EVENT_S = 1.0  # for a worker's last message to leave it

_one_at_a_time = threading.Lock()


def run_on_dask(
    work: Callable[[Path], FileOutcome], paths: Sequence[Path], address: str, limits: Limits | None = None
) -> Iterator[FileOutcome]:
    """Yield the outcome of each path, in order.

    A file whose worker dies is tried again on another worker. A file with which four workers died twice (Dask's
    `distributed.scheduler.allowed-failures` plus one) is `failed:crashed`.

    Args:
        work: The task, picklable; it is sent to every worker, also to those that join later.
        paths: The files, under the same paths on every worker.
        address: Address of the scheduler, such as `tcp://10.0.0.1:8786`, or the path of its scheduler file.
        limits: Limits of one file. A worker process ends itself, after a message, when a file exceeds its time. Its
            memory is limited while it works on a file, beside the worker's own `--memory-limit`.

    Raises:
        ConfigError: a worker lacks this version of heart2heart or the files.
        RemoteError: the scheduler cannot be reached or stops, or no worker is left.
        Heart2HeartError: an error that `work` raised, such as a full disk.
    """
    if not paths:
        return
    client = _connect(address)
    name = f"heart2heart-{uuid4().hex}"
    try:
        _check_workers(client, paths[0], address)
        client.register_plugin(_TaskPlugin(name, work, limits or Limits()), name=name)
        queue = _DaskQueue(client, name, address)
        try:
            yield from queue.outcomes(paths)
        finally:
            client.unregister_worker_plugin(name)
    except (CancelledError, OSError) as error:
        if isinstance(error, Heart2HeartError):
            raise
        remedy = "Start it again, then run the same command again to go on"
        raise RemoteError("the Dask scheduler stopped", where=address, remedy=remedy) from None
    finally:
        client.close()


def _connect(address: str) -> Client:
    if Path(address).is_file():
        content = read_json(Path(address), what="Dask scheduler file")
        named = content.get("address") if isinstance(content, dict) else None
        if not isinstance(named, str):
            raise ConfigError("this is not a Dask scheduler file", where=address)
        address = named
    try:
        return Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        remedy = "Start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`"
        raise RemoteError("no Dask scheduler answers here", where=address, remedy=remedy) from error


def _check_workers(client: Client, path: Path, address: str) -> None:
    """Refuse a cluster whose workers cannot do the work, before every file fails."""
    try:
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except TimeoutError as error:
        remedy = "Start some with `dask worker ADDRESS --nthreads 1`"
        raise RemoteError("this Dask scheduler has no workers", where=address, remedy=remedy) from error
    try:
        replies = client.run(_probe_worker, path)
    except (ImportError, AttributeError) as error:
        remedy = f"Install heart2heart {version('heart2heart')} there"
        raise ConfigError("a Dask worker cannot import heart2heart", where=address, remedy=remedy) from error
    if any(installed != version("heart2heart") for installed, _ in replies.values()):
        remedy = f"Install heart2heart {version('heart2heart')} on every one"
        raise ConfigError("a Dask worker has another version of heart2heart", where=address, remedy=remedy)
    if any(os.path.lexists(path) and not visible for _, visible in replies.values()):
        remedy = "Put them where every machine has them under the same path"
        raise ConfigError("a Dask worker does not see the files", where=address, remedy=remedy)


def _probe_worker(path: Path) -> tuple[str, bool]:
    return version("heart2heart"), os.path.lexists(path)


_installed_tasks: dict[str, tuple[Worker, Callable[[Path], FileOutcome], Limits]] = {}
"""On a worker: the worker, the task, and the limits of a file, by the name of the ingest."""


class _TaskPlugin(WorkerPlugin):
    """Sends the task, with its key, to each worker once."""

    def __init__(self, ingest: str, work: Callable[[Path], FileOutcome], limits: Limits) -> None:
        self.ingest, self.work, self.limits = ingest, work, limits

    def setup(self, worker: Worker) -> None:
        """Install the task."""
        _installed_tasks[self.ingest] = (worker, self.work, self.limits)

    def teardown(self, worker: Worker) -> None:
        """Remove the task."""
        _installed_tasks.pop(self.ingest, None)


def _work(name: str, path: Path, key: str) -> FileOutcome | Heart2HeartError:
    """Work on one file. An error is returned, not raised: Dask would log the path with it."""
    with _one_at_a_time:  # the silence of pydicom and the memory limit hold for the whole process
        worker, work, limits = _installed_tasks[name]
        overdue = threading.Timer(limits.seconds, _end_overdue, (worker, name, key))
        overdue.daemon = True
        overdue.start()
        try:
            with limits.memory_limited():
                return work(path)
        except MemoryError:
            return FileOutcome(StatusCode.FAILED_MEMORY)
        except Heart2HeartError as error:
            return error
        finally:
            overdue.cancel()


def _end_overdue(worker: Worker, name: str, key: str) -> None:
    """Report the overdue file to the client, then end this process, because a codec cannot be interrupted."""
    worker.log_event(name, key)
    time.sleep(_LAST_EVENT_S)
    os._exit(1)


class _DaskQueue:
    """Submits files ahead of their turn, and yields their outcomes in order."""

    def __init__(self, client: Client, name: str, address: str) -> None:
        self.client, self.name, self.address = client, name, address
        self.overdue: set[str] = set()
        client.subscribe_topic(name, lambda event: self.overdue.add(event[1]))

    def outcomes(self, paths: Sequence[Path]) -> Iterator[FileOutcome]:
        """Yield the outcomes in order."""
        ahead = max(_LEAST_AHEAD, _AHEAD * sum(self.client.nthreads().values()))
        waiting: deque[tuple[Path, Future[FileOutcome | Heart2HeartError]]] = deque()
        for index, path in enumerate(paths):
            waiting.append((path, self._submit(path, f"{self.name}-{index}")))
            if len(waiting) >= ahead:
                yield self._result(*waiting.popleft())
        while waiting:
            yield self._result(*waiting.popleft())

    def _submit(self, path: Path, key: str) -> Future[FileOutcome | Heart2HeartError]:
        return self.client.submit(_work, self.name, path, key, key=key, pure=False)

    def _result(self, path: Path, future: Future[FileOutcome | Heart2HeartError]) -> FileOutcome:
        """Wait for one file; Dask fails all files of a dead worker, so such a file is submitted a second time."""
        try:
            return self._wait(future)
        except KilledWorker:
            again = self._submit(path, f"{future.key}-again")
        try:
            return self._wait(again)
        except KilledWorker:
            return FileOutcome(StatusCode.FAILED_CRASHED)

    def _wait(self, future: Future[FileOutcome | Heart2HeartError]) -> FileOutcome:
        alone_since = None
        while True:
            outcome = None
            try:
                outcome = future.result(timeout=_POLL_S)
            except TimeoutError:
                pass
            except KilledWorker:
                if future.key not in self.overdue:
                    raise
            if future.key in self.overdue:
                future.cancel()
                return FileOutcome(StatusCode.FAILED_TIMEOUT)
            if isinstance(outcome, Heart2HeartError):
                raise outcome
            if outcome is not None:
                return outcome
            alone_since = None if self.client.nthreads() else alone_since or time.monotonic()
            if alone_since is not None and time.monotonic() - alone_since > _NO_WORKERS_S:
                remedy = "Start some, then run the same command again to go on"
                raise RemoteError("no Dask worker is left", where=self.address, remedy=remedy)
