"""The frames of a run: labeled, validation and unlabeled rows of a certified split, read from memory or from disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from heart2heart.errors import RunError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.store.geometry import Geometry
from heart2heart.training.config import TrainConfig

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
    """Everything that a run reads.

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
        """How the frames were made."""
        return self.frames.geometry

    @classmethod
    def open(cls, split: SplitManifest, frames: Frames, config: TrainConfig) -> TrainData:
        """Select what is learned from, and refuse what must not be.

        Raises:
            LeakageError: the split is not certified.
            SplitError: the stores' pixels are not those that were split.
            RunError: nothing to train on, a class without labels, or nothing to validate on.
        """
        split.require_certified()
        split.check_data(frames)
        train, validation = (_labeled_frames(split, frames, role) for role in ("train", "validation"))
        absent = [name for place, name in enumerate(split.classes) if place not in train.targets]
        if absent:
            remedy = "Label frames of training patients, or propose a split without the view"
            raise RunError(f"no training label of {', '.join(absent)} in this split", where=split.path, remedy=remedy)
        if not len(validation.rows):
            remedy = "Weights are selected on validation frames: propose a split with some"
            raise RunError("this split has no labeled validation frame", where=split.path, remedy=remedy)
        rows = split.select(frames, "unlabeled").rows
        return cls(frames, split, train, validation, rows[_has_mode(frames, rows, config.pool.modes)])


def _labeled_frames(split: SplitManifest, frames: Frames, role: str) -> LabeledFrames:
    found = split.select(frames, role)
    known = found.targets >= 0  # a view outside the classes has no target
    return LabeledFrames(found.rows[known], found.targets[known])


def _has_mode(frames: Frames, rows: RowIndices, modes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which of `rows` are of one of `modes`."""
    table = frames.frames
    wanted = table.filter(pc.is_in(table["mode"], pa.array(modes, pa.string())))["row"].to_numpy()
    return np.isin(rows, wanted)


READ_CHUNK = 16_384
"""Frames read at a time while a pool is put on the device."""


class FramePool:
    """Some rows of the stores, gathered batch by batch.

    Args:
        frames: The stores.
        rows: int64 `(n,)`, the pool's rows.
        device: Where batches are wanted.
        placement: `device`, `memory_map`, or `auto`: on an accelerator if they fill at most half of its free memory. On
            the CPU `auto` is the memory map, which the page cache keeps at hand anyway.
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
        """Where `take` wants its indices."""
        return torch.device("cpu") if self.pixels is None else self.device

    def take(self, index: Tensor) -> Tensor:
        """Return uint8 `(n, size, size)` on the device for int64 `(n,)` places in the pool."""
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
