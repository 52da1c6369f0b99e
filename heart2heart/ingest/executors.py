"""Run the worker over many files, in this process or in several, with the outcomes in the order of the files.

The order makes the result independent of the number of processes: of two files with the same content the first is
the accepted one, always.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from heart2heart.errors import ConfigError
from heart2heart.ingest.worker import Outcome

Work = Callable[[Path], Outcome]

_AHEAD = 4  # files a process that may be in work or waiting to be collected; bounds the memory of waiting clips


def run_ordered(work: Work, paths: Sequence[Path], workers: int) -> Iterator[Outcome]:
    """Yield the outcome of each path, in order.

    With one worker everything happens in this process. With more, a process that dies costs the file that killed it
    one `failed:crashed`: the files that were in work are tried again one at a time, and only one that kills again is
    the culprit.
    """
    if workers == 1 or not paths:
        yield from map(work, paths)
        return
    done = 0
    while done < len(paths):
        for outcome in _until_broken(work, paths[done:], workers):
            yield outcome
            done += 1
        if done == 0:
            _require_processes(work)
        for outcome in _one_at_a_time(work, paths[done : done + workers * _AHEAD]):
            yield outcome
            done += 1


def _until_broken(work: Work, paths: Sequence[Path], workers: int) -> Iterator[Outcome]:
    """Yield outcomes in order until all are done or the pool breaks."""
    waiting: deque[Future[Outcome]] = deque()
    ahead = iter(paths)
    with _pool(work, min(workers, len(paths))) as pool:
        try:
            for path in ahead:
                waiting.append(pool.submit(_work, path))
                if len(waiting) >= workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_at_a_time(work: Work, paths: Sequence[Path]) -> Iterator[Outcome]:
    """Yield outcomes in order; a file that breaks its process is `failed:crashed`, and a new process goes on."""
    done = 0
    while done < len(paths):
        with _pool(work, 1) as pool:
            try:
                for path in paths[done:]:
                    outcome = pool.submit(_work, path).result()
                    yield outcome
                    done += 1
            except BrokenProcessPool:
                yield Outcome("failed:crashed")
                done += 1


def _require_processes(work: Work) -> None:
    """Tell a file that kills from processes that cannot start at all."""
    with _pool(work, 1) as pool:
        try:
            pool.submit(len, ()).result()
        except BrokenProcessPool as error:
            remedy = "Call it under `if __name__ == '__main__':` in a script that can be imported, or use workers=1"
            raise ConfigError("worker processes cannot start", remedy=remedy) from error


def _pool(work: Work, workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: the parent holds an open ledger and threads of its libraries.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_settle, initargs=(work,))


_settled: list[Work] = []


def _settle(work: Work) -> None:
    _settled[:] = [work]


def _work(path: Path) -> Outcome:
    return _settled[0](path)
