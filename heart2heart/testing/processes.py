"""Several processes that train together on one machine, as torchrun would start them."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from heart2heart.errors import Heart2HeartError

PRELOADED = [
    "heart2heart.training",
    "monai.networks.blocks.convolutions",
    "monai.networks.layers.utils",
    "torch._dynamo",
]

GRACE = 5.0
"""Seconds that the others have once one ended badly."""


def new_process(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Return a process that calls `work(*arguments)` once started; torch and MONAI are loaded once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context.Process(target=work, args=arguments)


def run_processes(
    count: int, work: Callable[..., None], *arguments: Any, folder: Path, patience: float = 120
) -> list[str]:
    """Call `work(*arguments)` in `count` processes, and return what ended each: "", its error, or its exit code.

    Args:
        count: Number of processes.
        work: A function of a module.
        arguments: What it takes.
        folder: Where the errors are noted.
        patience: Seconds after which all are ended.
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
    import torch

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        work(*arguments)
        message = ""
    except Heart2HeartError as error:
        message = str(error)
    (folder / f"ended-{rank}.txt").write_text(message)
