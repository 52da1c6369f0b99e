"""Trains several runs at a time, each in a process of its own; one that fails or is killed leaves the others alone."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from heart2heart.errors import Heart2HeartError
from heart2heart.progress import Progress
from heart2heart.training.config import TrainConfig
from heart2heart.training.train import advance

PRELOADED = [
    "heart2heart.training.train",
    "monai.networks.blocks.convolutions",
    "monai.networks.layers.utils",
    "torch._dynamo",
]
"""Modules that every training loads, and that take seconds to load."""

Failures = dict[str, str]
"""What ended each run that did not finish, by its name."""


def training_context() -> ForkServerContext | SpawnContext:
    """Return a context whose processes have `PRELOADED` from their start.

    They are forked from a process of their own that loads the modules once and trains nothing: this process may hold
    threads of torch. Where a system cannot do that, each process loads them itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def train_in_processes(
    configs: Mapping[str, TrainConfig], folders: Mapping[str, Path], workers: int | None, progress: Progress
) -> Failures:
    """Train runs to their end, as many at a time as there are workers.

    Args:
        configs: Configuration of each run, by its name, such as `seed 0`; the runs begin in this order.
        folders: Folder of each run, by its name.
        workers: Processes at a time, at least 1; None takes one for each core of the CPU, or one on an accelerator.
            One trains in this process.
        progress: Receives the number of steps done over all runs.

    Returns:
        The runs that failed, with their errors.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    accelerated = torch.cuda.is_available() and next(iter(configs.values())).device != "cpu"
    workers = min(workers or (1 if accelerated else cores), len(configs))
    total = _TotalProgress(progress)
    if workers == 1:
        return _train_in_turn(configs, folders, total)
    context = training_context()
    waiting, running, failures = list(configs), dict[Connection, tuple[str, BaseProcess]](), Failures()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                threads = max(1, cores // workers)
                process: BaseProcess = context.Process(
                    target=_train_in_child, args=(configs[name], folders[name], threads, sender), daemon=True
                )
                process.start()
                sender.close()  # the child holds the only one, so that its end is noticed
                running[receiver] = (name, process)
            ready = wait(list(running))
            for receiver in [each for each in running if each in ready]:
                name, process = running[receiver]
                message = _receive(receiver)
                if isinstance(message, tuple):
                    total.update_run(name, *message)
                    continue
                del running[receiver]
                process.join()
                if message is None:
                    message = f"its process ended with code {process.exitcode}"
                if message:
                    failures[name] = message
    finally:  # after an interrupt the runs end as well; their checkpoints stay
        for _, process in running.values():
            process.terminate()
            process.join()
    return failures


def _receive(receiver: Connection) -> tuple[int, str] | str | None:
    """Return progress, the error that ended a run ("" for none), or None if the process died."""
    try:
        message: tuple[int, str] | str = receiver.recv()
    except EOFError:
        return None
    return message


class _TotalProgress:
    """Adds up the steps of all runs."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done = progress, dict[str, int]()

    def update_run(self, name: str, done: int, note: str) -> None:
        self.done[name] = done
        self.progress.update(sum(self.done.values()), f"{name}: {note}")


class _RunProgress:
    """Reports one run to the total."""

    def __init__(self, total: _TotalProgress, name: str) -> None:
        self.total, self.name = total, name

    def update(self, done: int, note: str = "") -> None:
        self.total.update_run(self.name, done, note)


class _SentProgress:
    """Reports one run to the parent process."""

    def __init__(self, sender: Connection) -> None:
        self.sender = sender

    def update(self, done: int, note: str = "") -> None:
        self.sender.send((done, note))


def _train_in_turn(configs: Mapping[str, TrainConfig], folders: Mapping[str, Path], total: _TotalProgress) -> Failures:
    failures = Failures()
    for name, config in configs.items():
        try:
            advance(config, folders[name], progress=_RunProgress(total, name))
        except Heart2HeartError as error:
            failures[name] = str(error)
    return failures


def _train_in_child(config: TrainConfig, folder: Path, threads: int, sender: Connection) -> None:
    torch.set_num_threads(threads)
    try:
        advance(config, folder, progress=_SentProgress(sender))
        message = ""
    except Heart2HeartError as error:
        message = str(error)
    sender.send(message)
