"""Run the worker over many files on the machines of a Dask cluster, with the outcomes in the order of the files.

Imported only where `--dask` is asked for: it needs the extra `dask`.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from distributed import Client, Future, KilledWorker, Worker, WorkerPlugin

from heart2heart.errors import ConfigError, Heart2HeartError, RemoteError
from heart2heart.files import read_json
from heart2heart.ingest.limits import Limits
from heart2heart.ingest.worker import Outcome

_CONNECT_S = 30.0  # for the scheduler to answer, and for its first worker
_ALONE_S = 60.0  # that all workers may be away, being restarted
_LEAST_AHEAD = 64  # files in work or waiting to be collected, whatever the size of the cluster
_AHEAD = 4  # the same, for each thread of a larger one

_Future: TypeAlias = "Future[Outcome | Heart2HeartError]"

_one_at_a_time = threading.Lock()


def run_on_dask(
    work: Callable[[Path], Outcome], paths: Sequence[Path], address: str, limits: Limits | None = None
) -> Iterator[Outcome]:
    """Yield the outcome of each path, in order.

    A file whose worker is lost is tried again on another; one whose work twice ended with the loss of four workers
    (Dask's `distributed.scheduler.allowed-failures` plus one) is `failed:crashed`.

    Args:
        work: Picklable; it travels to every worker, also to those that join later.
        paths: The files, reachable under the same paths by every worker.
        address: Of the scheduler, as `tcp://10.0.0.1:8786`, or the path of its scheduler file.
        limits: Of these the time holds: a worker process whose file runs past it ends itself, and counts as lost.
            Memory is bounded by the workers' own `--memory-limit`.

    Raises:
        ConfigError: a worker lacks this version of heart2heart or the files.
        RemoteError: the scheduler cannot be reached or goes away, or no worker is left.
        Heart2HeartError: what `work` raised, such as a full disk.
    """
    if not paths:
        return
    client = _connect(address)
    name = f"heart2heart-{uuid4().hex}"
    try:
        _check(client, paths[0], address)
        client.register_plugin(_Settling(name, work, (limits or Limits()).seconds), name=name)
        try:
            yield from _ordered(client, paths, name, address)
        finally:
            client.unregister_worker_plugin(name)
    except (CancelledError, OSError) as error:
        if isinstance(error, Heart2HeartError):
            raise
        remedy = "Start it again, then run the same command again to go on"
        raise RemoteError("the Dask scheduler went away", where=address, remedy=remedy) from None
    finally:
        client.close()


def _connect(address: str) -> Client:
    if Path(address).is_file():
        found = read_json(Path(address), what="Dask scheduler file")
        named = found.get("address") if isinstance(found, dict) else None
        if not isinstance(named, str):
            raise ConfigError("this is not the file of a Dask scheduler", where=address)
        address = named
    try:
        return Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        remedy = "Start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`"
        raise RemoteError("no Dask scheduler answers here", where=address, remedy=remedy) from error


def _check(client: Client, path: Path, address: str) -> None:
    """Refuse a cluster that could not do the work, before every file fails one by one."""
    try:
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except TimeoutError as error:
        remedy = "Start some with `dask worker ADDRESS --nthreads 1`"
        raise RemoteError("this Dask scheduler has no workers", where=address, remedy=remedy) from error
    try:
        seen = client.run(_look, path)
    except (ImportError, AttributeError) as error:
        remedy = f"Install heart2heart {version('heart2heart')} there"
        raise ConfigError("a Dask worker cannot import heart2heart", where=address, remedy=remedy) from error
    if any(found != version("heart2heart") for found, _ in seen.values()):
        remedy = f"Install heart2heart {version('heart2heart')} on every one"
        raise ConfigError("a Dask worker has another version of heart2heart", where=address, remedy=remedy)
    if any(os.path.lexists(path) and not there for _, there in seen.values()):
        remedy = "Put them where every machine has them under the same path"
        raise ConfigError("a Dask worker does not see the files", where=address, remedy=remedy)


def _look(path: Path) -> tuple[str, bool]:
    return version("heart2heart"), os.path.lexists(path)


_settled: dict[str, tuple[Callable[[Path], Outcome], float]] = {}
"""On a worker: what to do with a path, and in how many seconds, by the name of the ingest."""


class _Settling(WorkerPlugin):
    """Brings the work, the key in it, to each worker once."""

    def __init__(self, ingest: str, work: Callable[[Path], Outcome], seconds: float) -> None:
        self.ingest, self.work, self.seconds = ingest, work, seconds

    def setup(self, worker: Worker) -> None:
        """Take the work up."""
        _settled[self.ingest] = (self.work, self.seconds)

    def teardown(self, worker: Worker) -> None:
        """Forget it."""
        _settled.pop(self.ingest, None)


def _work(name: str, path: Path) -> Outcome | Heart2HeartError:
    """Work on one file. An error is returned, not raised: Dask would log the path with it."""
    with _one_at_a_time:  # what mutes pydicom is set for the whole process
        work, seconds = _settled[name]
        overdue = threading.Timer(seconds, os._exit, (1,))
        overdue.daemon = True
        overdue.start()
        try:
            return work(path)
        except Heart2HeartError as error:
            return error
        finally:
            overdue.cancel()


def _ordered(client: Client, paths: Sequence[Path], name: str, address: str) -> Iterator[Outcome]:
    ahead = max(_LEAST_AHEAD, _AHEAD * sum(client.nthreads().values()))
    waiting: deque[tuple[Path, _Future]] = deque()
    for number, path in enumerate(paths):
        waiting.append((path, _submit(client, name, path, f"{number}")))
        if len(waiting) >= ahead:
            yield _result(client, name, *waiting.popleft(), address)
    while waiting:
        yield _result(client, name, *waiting.popleft(), address)


def _submit(client: Client, name: str, path: Path, number: str) -> _Future:
    return client.submit(_work, name, path, key=f"{name}-{number}", pure=False)


def _result(client: Client, name: str, path: Path, future: _Future, address: str) -> Outcome:
    """Wait for one file. Dask blames all files that were with a lost worker: the blamed has a second chance."""
    try:
        return _wait(client, future, address)
    except KilledWorker:
        again = _submit(client, name, path, "again-" + str(future.key))
    try:
        return _wait(client, again, address)
    except KilledWorker:
        return Outcome("failed:crashed")


def _wait(client: Client, future: _Future, address: str) -> Outcome:
    while True:
        try:
            found = future.result(timeout=_ALONE_S)
        except TimeoutError:
            if client.nthreads():
                continue
            remedy = "Start some, then run the same command again to go on"
            raise RemoteError("no Dask worker is left", where=address, remedy=remedy) from None
        if isinstance(found, Heart2HeartError):
            raise found
        return found
