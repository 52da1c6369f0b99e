"""Maps a function over many items in several processes, with the results in the order of the items."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from heart2heart.errors import RunError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Chunks per process that are running or finished but not yet yielded; this bounds the memory of results.
_CHUNKS_AHEAD = 4


def map_ordered(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, *, chunk: int = 1
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, whatever the number of processes.

    Args:
        function: Picklable; a program that asks for more than one process must be importable (spawn).
        items: Picklable items.
        workers: Processes. With one, or with no more items than fit into one chunk, everything happens in this process.
        chunk: Items that travel to a process together.

    Raises:
        RunError: a process died; what was yielded before stays valid.

    Examples:
        >>> list(map_ordered(abs, [-2, 1, -3], workers=1))
        [2, 1, 3]
    """
    if workers <= 1 or len(items) <= chunk:
        yield from map(function, items)
        return
    # Spawned, not forked: the parent may hold open files and threads of its libraries.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=context, initializer=limit_threads) as pool:
        pending: deque[Future[list[Result]]] = deque()
        try:
            for start in range(0, len(items), chunk):
                pending.append(pool.submit(_map_chunk, function, items[start : start + chunk]))
                if len(pending) >= _CHUNKS_AHEAD * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        except BrokenProcessPool as error:
            remedy = "Run the same command again, with fewer --workers if memory ran out; finished work is kept"
            raise RunError("a worker process died", remedy=remedy) from error
        finally:  # after an error or an interrupt, no further item starts
            pool.shutdown(cancel_futures=True)


def limit_threads() -> None:
    """Let matrix products of NumPy take one thread in this process: the processes are the parallelism.

    Two processes that both take two threads for the search for text took 4.5 times as long on two cores.

    Examples:
        >>> limit_threads()
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _map_chunk(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
