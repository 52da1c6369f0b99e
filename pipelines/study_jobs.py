"""What every resumable study shares: jobs in several processes, and results with one line a job."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

FORMER_DEFAULTS: Mapping[str, Any] = {
    "selection": "validation",
    "batch_norm_record": "running",
    "augmentation": {"labeled": None},
}
"""Settings of training that were the defaults until 2026-11-27, when the published studies were run."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_all(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    """Yield the result of each job as it finishes.

    Args:
        function: What computes one job; with several workers it and the jobs must be picklable.
        jobs: The jobs.
        workers: Processes; with one, everything happens in this process.
    """
    if workers <= 1:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(function, job) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file of JSON lines; a missing file has none, and a torn last line is left out."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
