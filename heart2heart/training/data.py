"""The frames of a run, their pixels, and the order in which batches draw them.

The frames are the labeled, validation and unlabeled rows of a certified split. A sampler resumes at the exact frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from heart2heart.errors import RunError
from heart2heart.schema.enums import SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.store.geometry import Geometry
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import Balance, TrainConfig
from heart2heart.training.unscored_frames import transductive_rows

RowIndices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabeledFrames:
    """Labeled frames.

    Attributes:
        rows: int64 `(n,)`.
        targets: int64 `(n,)`, class indices.
    """

    rows: RowIndices
    targets: RowIndices


@dataclass(frozen=True)
class TrainData:
    """The frames that a run reads.

    Attributes:
        frames: The stores.
        split: The split.
        train: Labeled frames of training patients.
        validation: Labeled frames of source patients that select the weights.
        unlabeled: int64 `(n,)`, rows of the pool.
    """

    frames: Frames
    split: SplitManifest
    train: LabeledFrames
    validation: LabeledFrames
    unlabeled: RowIndices

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in order."""
        return self.split.classes

    @property
    def geometry(self) -> Geometry:
        """Geometry of the frames."""
        return self.frames.geometry

    @classmethod
    def open(cls, split: SplitManifest, frames: Frames, config: TrainConfig) -> TrainData:
        """Select the frames of a run from a certified split.

        Raises:
            LeakageError: the split is not certified.
            SplitError: the stores' pixels are not those that were split.
            RunError: nothing to train on, a class without labels, nothing to validate on, or nothing unlabeled at a
                hospital of `pool.transductive`.
        """
        split.require_certified()
        split.check_data(frames)
        train, validation = (_labeled_frames(split, frames, role) for role in (SplitRole.TRAIN, SplitRole.VALIDATION))
        absent = [name for target, name in enumerate(split.classes) if target not in train.targets]
        if absent:
            remedy = "Label frames of training patients, or propose a split without the view"
            raise RunError(f"no training label of {', '.join(absent)} in this split", where=split.path, remedy=remedy)
        if not len(validation.rows):
            remedy = "Weights are selected on validation frames: propose a split with some"
            raise RunError("this split has no labeled validation frame", where=split.path, remedy=remedy)
        rows = split.select(frames, SplitRole.UNLABELED).rows
        if config.pool.transductive:
            if not uses_pool(config):
                remedy = "Choose another method, or leave pool.transductive empty"
                what = f"{config.method.name} reads no unlabeled frame"
                raise RunError(what, where="pool.transductive", remedy=remedy)
            rows = np.union1d(rows, transductive_rows(split, frames, config.pool.transductive))
        return cls(frames, split, train, validation, rows[has_mode(frames, rows, config.pool.modes)])


def uses_pool(config: TrainConfig) -> bool:
    """Return whether a run reads unlabeled frames."""
    return bool(ALGORITHMS[config.method.name].views) or config.fix_a_step.mixing


def _labeled_frames(split: SplitManifest, frames: Frames, role: str) -> LabeledFrames:
    selected = split.select(frames, role)
    known = selected.targets >= 0  # a view outside the classes has no target
    return LabeledFrames(selected.rows[known], selected.targets[known])


def has_mode(frames: Frames, rows: RowIndices, modes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which of `rows` are of one of `modes`."""
    table = frames.frames
    rows_of_modes = table.filter(pc.is_in(table["mode"], pa.array(modes, pa.string())))["row"].to_numpy()
    return np.isin(rows, rows_of_modes)


READ_CHUNK = 16_384
"""Number of frames read at a time while a pool is copied to the device."""


class FramePool:
    """Some rows of the stores, gathered batch by batch.

    Args:
        frames: The stores.
        rows: int64 `(n,)`, the pool's rows.
        device: Device of the batches.
        placement: `device`, `memory_map`, or `auto`: on an accelerator if they fill at most half of its free memory. On
            the CPU `auto` is the memory map, which the page cache keeps in memory.
    """

    def __init__(
        self,
        frames: Frames,
        rows: npt.NDArray[np.int64],
        device: torch.device,
        placement: Literal["auto", "device", "memory_map"] = "auto",
    ) -> None:
        self.frames, self.rows, self.device = frames, rows, device
        size = frames.geometry.size
        resident = placement == "device" or (placement == "auto" and _fits_device(len(rows) * size * size, device))
        self.pixels: Tensor | None = None
        if resident:
            self.pixels = torch.empty(len(rows), size, size, dtype=torch.uint8, device=device)
            for start in range(0, len(rows), READ_CHUNK):
                part = slice(start, start + READ_CHUNK)
                self.pixels[part] = torch.from_numpy(frames.read(rows[part])).to(device)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.rows)

    @property
    def index_device(self) -> torch.device:
        """Device of the indices that `take` expects."""
        return torch.device("cpu") if self.pixels is None else self.device

    def take(self, index: Tensor) -> Tensor:
        """Return uint8 `(n, size, size)` on the device for int64 `(n,)` positions in the pool."""
        if self.pixels is not None:
            return self.pixels[index]
        return to_device(torch.from_numpy(self.frames.read(self.rows[index.numpy()])), self.device)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to the device without making the host wait for it."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _fits_device(count: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return count <= free // 2


_ORDER_CHUNK = 4096  # items that a balanced order is drawn for at a time


class FrameSampler:
    """Endless passes over `size` items, each in a new order.

    A batch may cross the end of a pass, or be larger than the set: then items repeat within it.

    Args:
        size: Number of items, at least 1.
        generator: The sampler's own random stream.
        device: Device of the indices.
    """

    def __init__(self, size: int, generator: torch.Generator, device: torch.device) -> None:
        assert size > 0
        self.size, self.generator, self.device = size, generator, device
        self.order = torch.empty(0, dtype=torch.int64, device=device)

    def take(self, n: int) -> Tensor:
        """Return the next `n` indices, int64 `(n,)`."""
        while len(self.order) < n:
            # The order is drawn on the CPU: one pass costs little, and is the same whatever the device.
            self.order = torch.cat([self.order, to_device(self._next_order(), self.device)])
        next_rows, self.order = self.order[:n], self.order[n:]
        return next_rows

    def _next_order(self) -> Tensor:
        """Draw the next items, int64 on the CPU."""
        return torch.randperm(self.size, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Return the rest of the present pass and the state of the stream."""
        return {"order": self.order.cpu(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position of `state`."""
        self.order = state["order"].to(self.device)
        self.generator.set_state(state["generator"])


class BalancedFrameSampler(FrameSampler):
    """Endless rounds over the groups of items, each round one item of every group, in a new order.

    Within a group the items come in endless shuffled passes, so a small group repeats and a large one does not. With G
    groups, of any n items in a row each group has n / G, give or take 2.

    Args:
        groups: Group of each item `(size,)`, 0 to the number of groups less one, each with an item.
        generator: The sampler's own random stream.
        device: Device of the indices.
    """

    def __init__(self, groups: npt.NDArray[np.int64], generator: torch.Generator, device: torch.device) -> None:
        super().__init__(len(groups), generator, device)
        cpu = torch.device("cpu")
        self.members = [torch.from_numpy(np.flatnonzero(groups == group)) for group in range(int(groups.max()) + 1)]
        self.passes = [FrameSampler(len(members), generator, cpu) for members in self.members]

    def _next_order(self) -> Tensor:
        rounds = -(-_ORDER_CHUNK // len(self.members))
        drawn = [members[each.take(rounds)] for members, each in zip(self.members, self.passes, strict=True)]
        shuffled = torch.rand(rounds, len(drawn), generator=self.generator).argsort(dim=1, stable=True)
        return torch.stack(drawn, dim=1).gather(1, shuffled).flatten()

    def state_dict(self) -> dict[str, Any]:
        """Return the rest of the present order, of each group's pass, and the state of the stream."""
        return super().state_dict() | {"passes": [each.order for each in self.passes]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position of `state`."""
        super().load_state_dict(state)
        for each, order in zip(self.passes, state["passes"], strict=True):
            each.order = order


def balance_groups(frames: Frames, rows: RowIndices, by: Balance, targets: RowIndices | None = None) -> RowIndices:
    """Return the group of each frame.

    Args:
        frames: The stores, which know the hospital of each frame.
        rows: int64 `(n,)`, rows of the frames.
        by: What the batches are balanced by.
        targets: int64 `(n,)`, class indices; needed to balance by view.

    Returns:
        int64 `(n,)`, 0 to the number of groups less one, each with a frame; all 0 for `none`.
    """
    keys = np.zeros((len(rows), 2), np.int64)
    if by in ("site", "site_and_view"):
        table = frames.frames
        sites = table["site"].take(pc.index_in(pa.array(rows), table["row"]))
        names = pa.array(sorted(pc.unique(sites).to_pylist()), pa.string())
        keys[:, 0] = pc.index_in(sites, names).to_numpy()
    if by in ("view", "site_and_view"):
        assert targets is not None, "an unlabeled frame has no view"
        keys[:, 1] = targets
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def sampling_rates(data: TrainData, by: Balance) -> npt.NDArray[np.float64]:
    """Return how often each labeled frame is drawn, float64 `(n,)` of mean 1; all 1 for `none`."""
    group = balance_groups(data.frames, data.train.rows, by, data.train.targets)
    sizes = np.bincount(group)
    drawn: npt.NDArray[np.float64] = len(group) / (len(sizes) * sizes[group])
    return drawn
