"""What a run learns from: the labeled, validation and unlabeled rows of a certified split over unchanged stores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import RunError
from heart2heart.frames.geometry import Geometry
from heart2heart.frames.store import Frames
from heart2heart.learn.config import TrainConfig
from heart2heart.splits import SplitManifest

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labeled:
    """Labeled frames.

    Attributes:
        rows: int64 `(n,)`.
        targets: int64 `(n,)`, class indices.
    """

    rows: Rows
    targets: Rows


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
    train: Labeled
    validation: Labeled
    unlabeled: Rows

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
        train, validation = (_labeled(split, frames, role) for role in ("train", "validation"))
        absent = [name for place, name in enumerate(split.classes) if place not in train.targets]
        if absent:
            remedy = "Label frames of training patients, or propose a split without the view"
            raise RunError(f"no training label of {', '.join(absent)} in this split", where=split.path, remedy=remedy)
        if not len(validation.rows):
            remedy = "Weights are selected on validation frames: propose a split with some"
            raise RunError("this split has no labeled validation frame", where=split.path, remedy=remedy)
        rows = split.select(frames, "unlabeled").rows
        return cls(frames, split, train, validation, rows[_of_modes(frames, rows, config.pool.modes)])


def _labeled(split: SplitManifest, frames: Frames, role: str) -> Labeled:
    found = split.select(frames, role)
    known = found.targets >= 0  # a view outside the classes has no target
    return Labeled(found.rows[known], found.targets[known])


def _of_modes(frames: Frames, rows: Rows, modes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which of `rows` are of one of `modes`."""
    table = frames.frames
    wanted = table.filter(pc.is_in(table["mode"], pa.array(modes, pa.string())))["row"].to_numpy()
    return np.isin(rows, wanted)
