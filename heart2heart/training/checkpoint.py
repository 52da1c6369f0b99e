"""Checkpoints: the complete state of a run, in one file that is replaced atomically.

Read with `weights_only=True`: tensors, numbers and texts, never code.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from heart2heart.errors import RunError
from heart2heart.training.loader import TrainLoader
from heart2heart.training.selection import BestWeights, WeightAverage
from heart2heart.training.train_step import Trainer
from heart2heart.utils import atomic_path

CHECKPOINT_FORMAT = 3
"""3: the best weights' loss, and the mean of the last validated weights."""
READ_FORMATS = (2, 3)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint under a temporary name, then rename.

    Raises:
        NoSpaceError: the disk is full; the previous checkpoint is unchanged.
    """
    buffer = io.BytesIO()  # torch.save itself would report a full disk as something else
    torch.save({"format": CHECKPOINT_FORMAT, **content}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        RunError: the file is not a checkpoint of this version.
    """
    remedy = "Name another run folder and train anew"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise RunError("this checkpoint cannot be read", where=path, remedy=remedy) from error
    if not isinstance(content, dict) or content.get("format") not in READ_FORMATS:
        raise RunError("this checkpoint is of another version", where=path, remedy=remedy)
    return content


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the state of the global random streams, from which dropout draws."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restore the global random streams; a missing one is left unchanged."""
    if "cpu" in state:
        torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


@dataclass
class TrainState:
    """Progress of a run.

    Attributes:
        step: Steps done.
        seconds: Time spent on them, over all calls.
        best: The best weights so far.
        average: The mean of the last validated weights.
    """

    step: int = 0
    seconds: float = 0.0
    best: BestWeights = field(default_factory=BestWeights)
    average: WeightAverage = field(default_factory=WeightAverage)


def collect_state(progress: TrainState, trainer: Trainer, loader: TrainLoader, device: torch.device) -> dict[str, Any]:
    """Return the content of a checkpoint; every process must call this."""
    return {
        "device": device.type,
        "network": trainer.network.state_dict(),
        "ema": trainer.ema.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
        "batches": loader.state_dict(),
        "mixing": trainer.generator.get_state(),
        "memory": {"method": trainer.memory, "rule": trainer.rule_memory},
        "random": {name: trainer.group.all_gather(value[None]) for name, value in random_state(device).items()},
        "step": progress.step,
        "seconds": progress.seconds,
        "best": vars(progress.best),
        "average": vars(progress.average),
    }


def restore_state(saved: dict[str, Any], trainer: Trainer, loader: TrainLoader, device: torch.device) -> TrainState:
    """Restore the state of a checkpoint.

    Raises:
        RunError: the checkpoint was written on another kind of device.
    """
    if saved["device"] != device.type:
        what = f"this run was started on {saved['device']} and cannot continue on {device.type}"
        raise RunError(what, remedy=f"Set device={saved['device']}, or name another folder")
    trainer.network.load_state_dict(saved["network"])
    trainer.ema.load_state_dict(saved["ema"])
    trainer.optimiser.load_state_dict(saved["optimiser"])
    loader.load_state_dict(saved["batches"])
    trainer.generator.set_state(saved["mixing"])
    for memory, kept in ((trainer.memory, saved["memory"]["method"]), (trainer.rule_memory, saved["memory"]["rule"])):
        for name, value in memory.items():
            value.copy_(kept[name])
    rank = trainer.group.rank
    # Copies, since torch reads a slice of a tensor at the wrong offset. A process that joined later has no saved state;
    # it keeps its seed.
    streams = {name: every[rank].clone() for name, every in saved["random"].items() if rank < len(every)}
    set_random_state(streams, device)
    average = WeightAverage(**saved.get("average", {}))
    return TrainState(saved["step"], saved["seconds"], BestWeights(**saved["best"]), average)
