"""What every resumable study shares: jobs in several processes, and results with one line a job."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from heart2heart.errors import RunError

FORMER_DEFAULTS: Mapping[str, Any] = {
    "selection": "validation",
    "batch_norm_record": "running",
    "augmentation": {"labeled": None},
}
"""Settings of training that were the defaults until 2026-11-27, when the published studies were run."""

Job = TypeVar("Job")
Result = TypeVar("Result")

_device: str | None = None  # of this process, which takes it when it begins


def process_device() -> str:
    """Return the device of this process: the one that `run_all` assigned, else the graphics card if torch sees one.

    torch is not imported for that; a process that has not imported it computes on the CPU.
    """
    if _device is not None:
        return _device
    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"


def run_all(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, devices: Sequence[str] = ()
) -> Iterator[tuple[int, Result]]:
    """Yield the position of each job and its result as it finishes; jobs begin in their order.

    Args:
        function: What computes one job; with several workers it and the jobs must be picklable.
        jobs: The jobs.
        workers: Processes; with one, everything happens in this process.
        devices: Such as `cuda:0`; each process takes one, which `process_device` returns. None leaves the choice to
            the function.

    Raises:
        RunError: a process died.
    """
    global _device
    if workers <= 1:
        _device = devices[0] if devices else None
        for index, job in enumerate(jobs):
            yield index, function(job)
        return
    context = multiprocessing.get_context("spawn")
    free: Queue[str] = context.Queue()
    for index in range(workers if devices else 0):
        free.put(devices[index % len(devices)])
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin_process, initargs=(free if devices else None, threads)
    ) as pool:
        under_way = {pool.submit(function, job): index for index, job in enumerate(jobs)}
        try:
            for future in as_completed(under_way):
                yield under_way[future], future.result()
        except BrokenProcessPool as error:
            remedy = "Run the same command again; it goes on where it was. Fewer processes need less memory"
            raise RunError("a process of the study died, or was killed", remedy=remedy) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_process(free: Queue[str] | None, threads: int) -> None:
    """Take a device until this process ends, and its share of the cores; end with the process that began this one."""
    global _device
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # read when torch is imported
    if free is not None:
        _device = free.get()


def _end_with_parent() -> None:
    """End this process when its parent is killed, so that a study that is started again has its runs for itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file of JSON lines; a missing file has none, and a torn last line is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
