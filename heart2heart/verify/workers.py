"""Searches files in processes of bounded memory; a file that breaks its process costs that file only."""

from __future__ import annotations

import multiprocessing
import resource
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from heart2heart.verify.identities import Identities
from heart2heart.verify.search_file import FileReport, FileSearcher, SearchTask
from heart2heart.verify.verdict import UnreadPart

MEMORY = 2 * 2**30
"""Bytes that the search of a file may take above the libraries and the patterns."""
_AHEAD = 4  # files per process that are running or finished but not yet yielded

_searcher: FileSearcher | None = None


def search_files(
    tasks: Sequence[SearchTask], identities: Identities, *, read_pictures: bool, workers: int
) -> Iterator[FileReport]:
    """Yield the report of each file, in order.

    Args:
        tasks: The files.
        identities: Identities to search for.
        read_pictures: Whether pictures are read with tesseract.
        workers: Processes; 0 searches in this process, without a limit on memory.
    """
    if workers <= 0:
        searcher = FileSearcher(identities, read_pictures=read_pictures)
        yield from map(searcher.search, tasks)
        return
    done = 0
    while done < len(tasks):
        try:
            for report in _in_pool(tasks[done:], identities, read_pictures=read_pictures, workers=workers):
                yield report
                done += 1
        except BrokenProcessPool:
            # Which file broke it is not known: the next ones are searched one by one, each in a process of its own.
            for task in tasks[done : done + _AHEAD * workers]:
                yield _alone(task, identities, read_pictures=read_pictures)
                done += 1


def _in_pool(
    tasks: Sequence[SearchTask], identities: Identities, *, read_pictures: bool, workers: int
) -> Iterator[FileReport]:
    # Spawned, not forked: the parent may hold open files and threads of its libraries.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_start, initargs=(identities, read_pictures)
    ) as pool:
        pending: deque[Future[FileReport]] = deque()
        try:
            for task in tasks:
                pending.append(pool.submit(_search, task))
                if len(pending) >= _AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # after an error or an interrupt, no further file starts
            pool.shutdown(cancel_futures=True)


def _alone(task: SearchTask, identities: Identities, *, read_pictures: bool) -> FileReport:
    try:
        return next(_in_pool([task], identities, read_pictures=read_pictures, workers=1))
    except BrokenProcessPool:
        return FileReport(unread=[UnreadPart(f"file {task.number}", "file", "its search broke the process")])


def _start(identities: Identities, read_pictures: bool) -> None:
    global _searcher
    _searcher = FileSearcher(identities, read_pictures=read_pictures)
    # The large libraries are loaded before the limit is set, so that they do not count.
    import pyarrow.parquet
    import scipy.ndimage

    del pyarrow, scipy
    statm = Path("/proc/self/statm")
    if statm.is_file():  # Linux
        used = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard == resource.RLIM_INFINITY or used + MEMORY < hard:
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))


def _search(task: SearchTask) -> FileReport:
    assert _searcher is not None
    return _searcher.search(task)
