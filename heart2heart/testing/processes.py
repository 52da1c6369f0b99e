"""Processes that train together on one machine, as torchrun would start them, and threads as their quick substitute."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from heart2heart.errors import Heart2HeartError
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.seed_processes import training_context

Result = TypeVar("Result")

GRACE = 5.0
"""Seconds that the other processes have after one failed."""


def new_process(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Return a process that calls `work(*arguments)`; torch and MONAI are loaded once for all processes."""
    return training_context().Process(target=work, args=arguments)


def run_processes(
    count: int, work: Callable[..., None], *arguments: Any, folder: Path, patience: float = 120
) -> list[str]:
    """Call `work(*arguments)` in `count` processes, and return how each ended: "", its error, or its exit code.

    Args:
        count: Number of processes.
        work: A function of a module.
        arguments: Its arguments, which must pickle.
        folder: Folder for the error messages.
        patience: Seconds after which all processes are killed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[BaseProcess] = []
    for rank in range(count):
        process = new_process(_work_in_process, rank, count, port, folder, work, arguments)
        process.start()
        started.append(process)
    until, ends = time.monotonic() + patience, []
    for rank, process in enumerate(started):
        process.join(max(until - time.monotonic(), 0))
        if process.exitcode is None:
            process.kill()
            process.join()
        message_file = folder / f"ended-{rank}.txt"
        ends.append(message_file.read_text() if message_file.exists() else f"exit code {process.exitcode}")
        message_file.unlink(missing_ok=True)
        if ends[-1]:
            until = min(until, time.monotonic() + GRACE)
    return ends


def _work_in_process(
    rank: int, count: int, port: int, folder: Path, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        work(*arguments)
        message = ""
    except Heart2HeartError as error:
        message = str(error)
    (folder / f"ended-{rank}.txt").write_text(message)


@dataclass
class _Exchange:
    """The tensors that threads exchange, by rank."""

    barrier: threading.Barrier
    turn: threading.Lock = field(default_factory=threading.Lock)  # threads share the state of torch's forward mode
    tensors: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ThreadGroup(ProcessGroup):
    """A process group whose members are threads."""

    exchange: _Exchange = field(default_factory=lambda: _Exchange(threading.Barrier(1)))

    def mean(self, value: Tensor) -> Tensor:
        """See `ProcessGroup.mean`."""
        return torch.stack(self._exchange_all(value)).mean(0)

    def sum(self, value: Tensor) -> Tensor:
        """See `ProcessGroup.sum`."""
        return torch.stack(self._exchange_all(value)).sum(0)

    def all_gather(self, rows: Tensor) -> Tensor:
        """See `ProcessGroup.all_gather`."""
        parts = self._exchange_all(rows)
        gathered = torch.cat(parts)
        for rank, part in enumerate(parts):
            gathered[ProcessGroup(rank, self.size).rows(len(gathered))] = part
        return gathered

    def _exchange_all(self, value: Tensor) -> list[Tensor]:
        self.exchange.tensors[self.rank] = value.detach().clone()
        self._wait()
        values = [self.exchange.tensors[rank] for rank in range(self.size)]
        self._wait()
        return values

    def _wait(self) -> None:
        """Wait for the other threads, and let them run."""
        self.exchange.turn.release()
        try:
            self.exchange.barrier.wait()
        finally:
            self.exchange.turn.acquire()


def run_threads(size: int, work: Callable[[ProcessGroup], Result]) -> list[Result]:
    """Call `work` in threads that train together, and return their results by rank.

    Threads start at once, and a result needs no file; `run_processes` uses real processes.

    Args:
        size: Number of threads.
        work: Takes its process group. It builds its own network: threads share only what goes through the group.
    """
    exchange = _Exchange(threading.Barrier(size, timeout=60))

    def work_in_turn(group: ProcessGroup) -> Result:
        with exchange.turn:
            return work(group)

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(work_in_turn, ThreadGroup(rank, size, exchange)) for rank in range(size)]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        error = next((error for future in done if (error := future.exception()) is not None), None)
        if error is not None:
            exchange.barrier.abort()
            raise error
    return [future.result() for future in futures]
