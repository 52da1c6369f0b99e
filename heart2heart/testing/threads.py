"""Threads that stand for the processes of a training run: what is averaged or gathered over them, without a network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from heart2heart.training.distributed import ProcessGroup

Result = TypeVar("Result")


@dataclass
class _Exchange:
    """The tensors that threads exchange, by rank."""

    barrier: threading.Barrier
    turn: threading.Lock = field(default_factory=threading.Lock)  # torch's forward mode is shared by threads
    tensors: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ThreadGroup(ProcessGroup):
    """A process group whose processes are threads."""

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
        """Wait for the other threads, which work meanwhile."""
        self.exchange.turn.release()
        try:
            self.exchange.barrier.wait()
        finally:
            self.exchange.turn.acquire()


def run_threads(size: int, work: Callable[[ProcessGroup], Result]) -> list[Result]:
    """Call `work` in threads that train together, and return their results by rank.

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
