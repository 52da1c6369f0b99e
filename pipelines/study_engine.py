"""The runner of every study: missing jobs are run, each result is one line, and a study can be stopped at any point.

A job is any picklable value with a key, which names its line. A line is its key, what the function measured, and
`seconds`, `cpu_seconds` and `device`. The file is open in one process at a time; a second one is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from heart2heart.errors import ConfigError, RunError
from heart2heart.progress import progress_bar
from heart2heart.utils import write_text
from pipelines.study_jobs import process_device, read_lines, run_all

Job = TypeVar("Job")
Key = Mapping[str, Any]
Line = dict[str, Any]


def key_text(key: Key) -> str:
    """Return a key as text; equal keys have equal texts.

    Examples:
        >>> key_text({"way": "fixmatch", "seed": 0})
        '{"seed": 0, "way": "fixmatch"}'
    """
    return json.dumps(dict(key), sort_keys=True)


@contextmanager
def lock_study(path: Path) -> Iterator[None]:
    """Hold a study's folder for this process.

    Args:
        path: The lock file; the lock ends with the process, however it ends.

    Raises:
        RunError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            remedy = "Wait for it, stop it, or name another output folder"
            raise RunError("another process runs this study", where=path.parent, remedy=remedy) from error
        yield


class ResultsFile(Generic[Job]):
    """`results.jsonl`, with one line for each finished job; use it while `lock_study` is held.

    Args:
        path: The file.
        key: Returns what names the line of a job; all keys have the same names.
    """

    def __init__(self, path: Path, key: Callable[[Job], Key]) -> None:
        self.path, self.key = path, key

    def lines(self, jobs: Sequence[Job]) -> list[Line | None]:
        """Return the line of each job, the last where there are several; None if it is not finished.

        Raises:
            ConfigError: two jobs have the same key.
        """
        keys = [self.key(job) for job in jobs]
        texts = [key_text(key) for key in keys]
        if len(set(texts)) < len(texts):
            twice = next(text for index, text in enumerate(texts) if text in texts[:index])
            raise ConfigError(f"two jobs of this study are the same: {twice}", remedy="Name each level and way once")
        names = list(keys[0]) if keys else []
        known = {key_text({name: line.get(name) for name in names}): line for line in read_lines(self.path)}
        return [known.get(text) for text in texts]

    def repair(self) -> None:
        """Cut a torn last line off, so that the next line begins a line."""
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            whole, newline, _ = self.path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
            write_text(self.path, whole + newline)

    def append(self, line: Line) -> None:
        """Write one line, on the disk before this returns."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
            handle.flush()
            os.fsync(handle.fileno())


@dataclass(frozen=True)
class _Timed(Generic[Job]):
    """Calls a function and adds what it cost; picklable where the function is."""

    function: Callable[[Job], Line]

    def __call__(self, job: Job) -> Line:
        started, cpu = time.monotonic(), time.process_time()
        line = self.function(job)
        cost = {"seconds": round(time.monotonic() - started, 2), "cpu_seconds": round(time.process_time() - cpu, 2)}
        return {**line, **cost, "device": line.get("device") or process_device()}


def run_study(
    jobs: Sequence[Job],
    function: Callable[[Job], Line],
    *,
    key: Callable[[Job], Key],
    results: Path,
    workers: int = 1,
    devices: Sequence[str] = (),
    describe: Callable[[Line], str] = lambda line: "",
    title: str = "train and test",
    on_line: Callable[[Job, Line], None] | None = None,
) -> list[Line]:
    """Run the jobs that have no line yet, in their order, and return the lines of all jobs in their order.

    Args:
        jobs: All jobs of the study.
        function: Computes one job and returns its line without the key; with several workers it must be picklable.
        key: Returns what names the line of a job, such as task, way, seed and the hash of its configuration.
        results: `results.jsonl`; lines of other jobs in it stay.
        workers: Processes; with one, everything happens in this process.
        devices: Such as `cuda:0`, shared among the processes; by default each function chooses.
        describe: Returns a few words about a line, for the progress.
        title: What the progress says.
        on_line: Called in this process after a job and its line were recorded.

    Raises:
        RunError: another process runs this study, or a worker died. What is finished stays.
        ConfigError: two jobs have the same key.
    """
    file = ResultsFile(results, key)
    with lock_study(results.with_suffix(".lock")):
        file.repair()
        lines = file.lines(jobs)
        missing = [index for index, line in enumerate(lines) if line is None]
        with progress_bar(title, len(jobs)) as progress:
            progress.update(len(jobs) - len(missing))
            todo = [jobs[index] for index in missing]
            for done, (position, measured) in enumerate(run_all(_Timed(function), todo, workers, devices), start=1):
                job = todo[position]
                line = {**key(job), **measured}
                file.append(line)
                lines[missing[position]] = line
                if on_line is not None:
                    on_line(job, line)
                progress.update(len(jobs) - len(missing) + done, describe(line))
    return [line for line in lines if line is not None]
