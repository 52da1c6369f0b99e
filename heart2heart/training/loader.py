"""Draws and augments the batches of a run, and names the frames of a batch whose loss is not finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.nn import functional

from heart2heart import utils
from heart2heart.errors import ConfigError, DivergedError, RunError
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import (
    BalancedFrameSampler,
    FramePool,
    FrameSampler,
    RowIndices,
    TrainData,
    balance_groups,
    to_device,
)
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.held_out_labels import held_out_labels
from heart2heart.training.metrics import DrawnIndices, divergence_error
from heart2heart.training.train_step import AugmentedBatch, Trainer
from heart2heart.utils import write_json


def seeded_generator(seed: int, name: str, device: torch.device) -> torch.Generator:
    """Return the run's stream called `name`, on `device`."""
    return torch.Generator(device).manual_seed(int(utils.random_stream(seed, "learn", name).integers(2**63)))


def _sampler(size: int, group: RowIndices | None, stream: torch.Generator, device: torch.device) -> FrameSampler:
    return FrameSampler(size, stream, device) if group is None else BalancedFrameSampler(group, stream, device)


class TrainLoader:
    """Yields batches; its position can be saved and restored.

    Attributes:
        drawn: Positions of the last batch's frames, by pool, over all processes.

    Args:
        config: The run's configuration.
        data: The frames of the run.
        trainer: Its algorithm names the views.
        device: Device of the batches.

    Raises:
        RunError: the algorithm needs unlabeled frames and the pool is empty.
        ConfigError: a batch that the processes cannot share evenly.
    """

    def __init__(self, config: TrainConfig, data: TrainData, trainer: Trainer, device: torch.device) -> None:
        self.config, self.trainer, self.device = config, trainer, device
        self._require_even_shares()
        self.drawn: dict[str, Tensor] = {}
        placement = config.pool.placement
        cpu = torch.device("cpu")
        self.labeled = FramePool(data.frames, data.train.rows, device, placement)
        targets = torch.from_numpy(data.train.targets)
        self.targets = functional.one_hot(targets, len(data.classes)).float().to(device)
        self.augmentation_rng = seeded_generator(config.seed, "augmentation", device)
        stream = seeded_generator(config.seed, "labeled order", cpu)
        by = config.batch.balance
        labeled_groups = None if by == "none" else balance_groups(data.frames, data.train.rows, by, data.train.targets)
        self._groups = {"labeled": labeled_groups, "unlabeled": None}
        self.samplers: dict[str, FrameSampler] = {}
        self._members: dict[str, Tensor] = {}  # positions among the labeled frames
        held_out = np.zeros(len(self.labeled), bool)
        if trainer.probe_share:
            held_out = held_out_labels(data, trainer.probe_share, config.seed)
        for name, chosen in (("labeled", ~held_out), ("held out", held_out)):
            if not chosen.any():
                continue
            if name == "held out":
                stream = seeded_generator(config.seed, "held-out order", cpu)
            within = None
            if labeled_groups is not None:
                within = np.unique(labeled_groups[chosen], return_inverse=True)[1]
            self.samplers[name] = _sampler(int(chosen.sum()), within, stream, self.labeled.index_device)
            self._members[name] = torch.from_numpy(np.flatnonzero(chosen)).to(self.labeled.index_device)
        self.unlabeled: FramePool | None = None
        self.pool_parts: list[Tensor] = []  # positions in the pool
        if trainer.needs_pool:
            if not len(data.unlabeled):
                what = f"{trainer.algorithm.title} needs unlabeled frames, and the pool is empty"
                remedy = "Ingest unlabeled clips, widen pool.modes, or train with method.name=labels_only alone"
                raise RunError(what, where=config.data.split, remedy=remedy)
            self.unlabeled = FramePool(data.frames, data.unlabeled, device, placement)
            stream = seeded_generator(config.seed, "unlabeled order", cpu)
            count, parts = len(self.unlabeled), trainer.algorithm.pool_parts
            if count < parts:
                what = f"{trainer.algorithm.title} needs at least {parts} unlabeled frames, the pool has {count}"
                raise RunError(what, where=config.data.split, remedy="Ingest more unlabeled clips")
            if config.batch.balance_unlabeled != "none":
                self._groups["unlabeled"] = balance_groups(data.frames, data.unlabeled, config.batch.balance_unlabeled)
            unlabeled_groups = self._groups["unlabeled"]
            shuffled = torch.randperm(count, generator=stream) if parts > 1 else torch.arange(count)
            for part, members in enumerate(shuffled.tensor_split(parts)):
                within = None
                if unlabeled_groups is not None:
                    within = np.unique(unlabeled_groups[members.numpy()], return_inverse=True)[1]
                sampler = _sampler(len(members), within, stream, self.unlabeled.index_device)
                self.samplers[f"unlabeled {part}"] = sampler
                self.pool_parts.append(members.to(self.unlabeled.index_device))

    def frame_names(self, drawn: DrawnIndices) -> dict[str, list[str]]:
        """Return the frames of a batch by pool; the host waits for them."""
        pools = {
            "labeled": self.labeled.rows,
            "held out": self.labeled.rows,
            "unlabeled": None if self.unlabeled is None else self.unlabeled.rows,
        }
        table = self.labeled.frames.frames
        names = {}
        for pool, positions in drawn.items():
            rows = pools[pool]
            assert rows is not None
            table_index = pc.index_in(pa.array(rows[positions.cpu().numpy()]), table["row"])
            names[pool] = table["frame"].take(table_index).to_pylist()
        return names

    @property
    def notes(self) -> list[str]:
        """Remarks on the batches, for `run.json`."""
        requested = {"labeled": (self.labeled, self.config.batch.labeled)}
        if self.unlabeled is not None:
            requested["unlabeled"] = (self.unlabeled, self.config.batch.unlabeled)
        notes = [
            f"only {len(pool)} {name} frames, fewer than batch.{name}={count}: frames repeat within a batch"
            for name, (pool, count) in requested.items()
            if len(pool) < count
        ]
        for name, group in self._groups.items():
            sizes = np.ones(1, np.int64) if group is None else np.bincount(group)
            if (often := sizes.max() / sizes.min()) > 1:
                how = f"{name} frames of the smallest of {len(sizes)} balanced groups ({sizes.min()} frames)"
                notes.append(f"{how} are drawn {often:.1f} times as often as those of the largest")
        return notes

    @property
    def size(self) -> int:
        """Number of frames of a batch."""
        return self.config.batch.labeled + (self.config.batch.unlabeled if self.unlabeled is not None else 0)

    def next(self, step_index: int) -> AugmentedBatch:
        """Return this process's rows of the batch of a step, augmented."""
        group = self.trainer.group
        self.drawn = {}
        labeled, targets = self._take_labeled("labeled")
        unlabeled, positions = labeled[:0], self._members["labeled"][:0]
        if self.unlabeled is not None:
            part = self.trainer.algorithm.pool_part(self.trainer.stage_of(step_index))
            positions = self.pool_parts[part][self.samplers[f"unlabeled {part}"].take(self.config.batch.unlabeled)]
            self.drawn["unlabeled"] = positions
            positions = positions[group.rows(len(positions))]
            unlabeled = self.unlabeled.take(positions)
        frames = (labeled, targets, unlabeled, to_device(positions, self.device))
        if "held out" not in self.samplers:
            return self.trainer.augment(*frames, self.augmentation_rng)
        return self.trainer.augment(*frames, self.augmentation_rng, self._take_labeled("held out"))

    def _take_labeled(self, name: str) -> tuple[Tensor, Tensor]:
        """Return this process's next frames of a part of the labeled ones, and their targets."""
        index = self._members[name][self.samplers[name].take(self.config.batch.labeled)]
        self.drawn[name] = index
        index = index[self.trainer.group.rows(len(index))]
        return self.labeled.take(index), self.targets[to_device(index, self.device)]

    def _require_even_shares(self) -> None:
        size, frames = self.trainer.group.size, self.config.batch
        counts = {"labeled": frames.labeled} | ({"unlabeled": frames.unlabeled} if self.trainer.needs_pool else {})
        for name, count in counts.items():
            if count % size:
                what = f"a batch of {count} frames cannot be shared evenly by {size} processes"
                raise ConfigError(what, where=f"batch.{name}", remedy=f"Choose a multiple of {size}")

    def state_dict(self) -> dict[str, Any]:
        """Return the position of every sampler and random stream."""
        states = {name: sampler.state_dict() for name, sampler in self.samplers.items()}
        return {"samplers": states, "augmentation": self.augmentation_rng.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position of `state`."""
        for name, sampler in self.samplers.items():
            sampler.load_state_dict(state["samplers"][name])
        self.augmentation_rng.set_state(state["augmentation"])


NAMED_FRAMES = 3
"""Number of frames of each pool that the message names."""


class NamesFrames(Protocol):
    """Names the frames of a batch."""

    def frame_names(self, drawn: DrawnIndices) -> dict[str, list[str]]:
        """Return the frames of a batch by pool."""


def diagnose_nonfinite(
    loader: NamesFrames, out: Path, group: ProcessGroup = SINGLE
) -> Callable[[int, DrawnIndices], DivergedError]:
    """Return a function that makes the error of a step whose loss is not finite.

    Args:
        loader: Gives the names of the frames.
        out: The run's folder, in which `diverged.json` lists the whole batch.
        group: The processes, of which the main one writes.
    """

    def error(step: int, drawn: DrawnIndices) -> DivergedError:
        names = loader.frame_names(drawn)
        if group.is_main:
            write_json(out / "diverged.json", {"step": step, **names})
        plain = divergence_error(step, drawn)
        parts = [f"{_first_names(frames)} ({name})" for name, frames in names.items()]
        what = f"{plain.what}; its frames: {', '.join(parts)}"
        return DivergedError(what, where=out / "diverged.json", remedy=plain.remedy)

    return error


def _first_names(frames: list[str]) -> str:
    more = len(frames) - NAMED_FRAMES
    return " ".join(frames[:NAMED_FRAMES]) + (f" and {more} more" if more > 0 else "")
