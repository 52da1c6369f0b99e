"""Where a run stands: everything that decides its rest, into a checkpoint and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from heart2heart.errors import RunError
from heart2heart.learn.batches import Batches
from heart2heart.learn.checkpoint import random_state, set_random_state
from heart2heart.learn.learner import Learner
from heart2heart.learn.selection import Best


@dataclass
class Standing:
    """How far a run is.

    Attributes:
        step: Steps done.
        seconds: Time spent on them, over all sittings.
        best: The best weights so far.
    """

    step: int = 0
    seconds: float = 0.0
    best: Best = field(default_factory=Best)


def state(standing: Standing, learner: Learner, batches: Batches, device: torch.device) -> dict[str, Any]:
    """Return what a checkpoint holds; every process has to ask."""
    return {
        "device": device.type,
        "network": learner.network.state_dict(),
        "ema": learner.ema.state_dict(),
        "optimiser": learner.optimiser.state_dict(),
        "batches": batches.state_dict(),
        "mixing": learner.generator.get_state(),
        "memory": {"method": learner.memory, "rule": learner.rule_memory},
        "random": {name: learner.world.gather(value[None]) for name, value in random_state(device).items()},
        "step": standing.step,
        "seconds": standing.seconds,
        "best": vars(standing.best),
    }


def restore(saved: dict[str, Any], learner: Learner, batches: Batches, device: torch.device) -> Standing:
    """Go on where `saved` was taken.

    Raises:
        RunError: it was taken on another kind of device.
    """
    if saved["device"] != device.type:
        what = f"this run was begun on {saved['device']} and cannot go on on {device.type}"
        raise RunError(what, remedy=f"Set device={saved['device']}, or name another folder")
    learner.network.load_state_dict(saved["network"])
    learner.ema.load_state_dict(saved["ema"])
    learner.optimiser.load_state_dict(saved["optimiser"])
    batches.load_state_dict(saved["batches"])
    learner.generator.set_state(saved["mixing"])
    for memory, kept in ((learner.memory, saved["memory"]["method"]), (learner.rule_memory, saved["memory"]["rule"])):
        for name, value in memory.items():
            value.copy_(kept[name])
    rank = learner.world.rank
    # Copies, since torch reads a part of a tensor from the wrong place. A process that joined later has no state to go
    # on from; what it draws is as it was seeded.
    streams = {name: every[rank].clone() for name, every in saved["random"].items() if rank < len(every)}
    set_random_state(streams, device)
    return Standing(saved["step"], saved["seconds"], Best(**saved["best"]))
