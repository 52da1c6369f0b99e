"""Several processes that train one run together.

Every process holds the same weights and draws the same random numbers for the whole batch, then works on its own rows.
Values that depend on the whole batch are averaged or gathered here, so that all processes decide as one would.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from heart2heart.errors import ConfigError, RunError


@dataclass(frozen=True)
class ProcessGroup:
    """The number of processes, and the rank of this one.

    Attributes:
        rank: This process, from 0.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes and reports."""
        return self.rank == 0

    def rows(self, total: int) -> slice:
        """Return this process's rows of a batch of `total`, which the number of processes divides.

        They are every `size`-th row: the first rows of all processes are the first rows of the whole batch, and
        concatenated batches are shared as each batch alone.
        """
        return slice(self.rank, total, self.size)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of `value` over the processes; it carries no gradient across them."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        with _explain_lost_process():
            distributed.all_reduce(total)
        return total

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of `value` over the processes; it carries no gradient across them."""
        return value if self.size == 1 else self.sum(value) / self.size

    def all_gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, in the order of the whole batch; without gradient."""
        if self.size == 1:
            return rows
        rows = rows.detach().contiguous()
        # gloo has no bool
        sent = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
        parts = [torch.empty_like(sent) for _ in range(self.size)]
        with _explain_lost_process():
            distributed.all_gather(parts, sent)
        return torch.stack(parts, 1).flatten(0, 1).to(rows.dtype)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy the values of the main process to every process, in place."""
        if self.size > 1:
            with _explain_lost_process():
                for tensor in tensors:
                    distributed.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Wait until every process calls this."""
        self.sum(torch.zeros(1))


@contextmanager
def _explain_lost_process() -> Iterator[None]:
    """Raise `RunError` if another process ended or did not answer in time."""
    try:
        yield
    except RuntimeError as error:
        remedy = "Read its messages, then run the same command again: the run continues from its last checkpoint"
        raise RunError("another process of this run ended, or does not answer any more", remedy=remedy) from error


SINGLE = ProcessGroup()
"""One process."""


TIMEOUT = timedelta(minutes=10)
"""Time that a process waits for the others before it reports them as lost."""


def join_process_group() -> ProcessGroup:
    """Join the processes that torchrun started with this one; without torchrun return a group of one process.

    The group lasts until this process ends, for any number of runs.

    Raises:
        RunError: the others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE
    try:
        # Tensors on graphics cards use NCCL, others gloo.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if not distributed.is_initialized():
            distributed.init_process_group(backend, timeout=TIMEOUT)
            atexit.register(distributed.destroy_process_group)
    except (RuntimeError, ValueError) as error:
        remedy = "Start all of them with torchrun: torchrun --nproc-per-node 2 -m heart2heart train ..."
        raise RunError("the other processes of this run cannot be reached", remedy=remedy) from error
    return ProcessGroup(distributed.get_rank(), distributed.get_world_size())


def choose_device(name: str, group: ProcessGroup) -> torch.device:
    """Return the device of a run; each of several processes on one machine gets its own graphics card.

    Raises:
        ConfigError: no such device here, or fewer graphics cards than processes.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"no device is called {name!r}", where="device", remedy="Choose auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and not torch.cuda.is_available()):
        raise ConfigError(f"this machine has no device {name!r}", where="device", remedy="Choose auto or cpu")
    if device.type == "cpu" or group.size == 1:
        return device
    local, cards = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if ":" in name or local >= cards:
        what = f"this machine has {cards} graphics cards for {local + 1} processes or more, and device is {name!r}"
        remedy = "Set device=cuda, and start as many processes as there are graphics cards"
        raise ConfigError(what, where="device", remedy=remedy)
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device
