"""Outputs of a run, computed by frame and aggregated by clip."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

import numpy as np
import numpy.typing as npt

from heart2heart.active_learning.pool import Bools, Ints, Table
from heart2heart.errors import RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.clip_probabilities import clip_log_probabilities_of_sums
from heart2heart.store.frame_store import Frames
from heart2heart.store.geometry import Geometry

PER_FRAME_TABLES = ("probabilities", "embeddings", "earlier", "student", "teacher")
"""Tables of `pool.TABLE_DESCRIPTIONS` that are computed by frame; all but `embeddings` are probabilities."""
_BATCH = 2048  # frames read at a time


class ModelOutputs(Protocol):
    """The outputs of a run; `heart2heart.training.model_outputs.ModelOutputs` implements it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def geometry(self) -> Geometry:
        """Geometry of the frames that the run takes."""

    def frame_tables(self, pixels: npt.NDArray[np.uint8], tables: Set[str]) -> Mapping[str, Table]:
        """Return tables, of `PER_FRAME_TABLES`, of frames uint8 `(n, size, size)`.

        Tables of probabilities hold natural logarithms, float32 `(n, classes)`.
        """

    def last_layer(self) -> tuple[Table, Table]:
        """Return weights `(d, classes)` and bias `(classes,)` of the last linear layer."""

    def vaal_scores(self, embeddings: Table, labeled: Bools, seed: int) -> Table:
        """Return the adversary's probability that each clip is not labeled, 0 to 1, `(n,)`."""


def read_tables(
    model_outputs: ModelOutputs,
    stores: Frames,
    rows: Ints,
    owner: Ints,
    count: int,
    tables: Set[str],
    progress: Progress | None = None,
) -> dict[str, Table]:
    """Return tables of clips: the mean of their frames' embeddings, and probabilities by `clip_log_probabilities`.

    Args:
        model_outputs: Outputs of the run.
        stores: Stores with the frames.
        rows: Rows of the frames in the stores, int64 `(f,)`.
        owner: Clip of each frame, int64 `(f,)`, from 0; every clip has at least one frame.
        count: Number of clips.
        tables: Names of `pool.TABLE_DESCRIPTIONS` without `vaal`.
        progress: Receives the number of finished frames.

    Raises:
        RunError: the run takes frames of another geometry.
    """
    if model_outputs.geometry != stores.geometry:
        what = f"this run takes frames of {model_outputs.geometry}, the stores hold {stores.geometry}"
        raise RunError(what, remedy="Name stores of the geometry that it was trained on")
    progress = progress or NoProgress()
    frame_tables = tables & set(PER_FRAME_TABLES)
    sums: dict[str, Table] = {}
    for start in range(0, len(rows) if frame_tables else 0, _BATCH):
        part = slice(start, start + _BATCH)
        for name, values in model_outputs.frame_tables(stores.read(rows[part]), frame_tables).items():
            total = sums.setdefault(name, np.zeros((count, values.shape[1]), np.float32))
            np.add.at(total, owner[part], values)
        progress.update(min(start + _BATCH, len(rows)))
    frames: Ints = np.bincount(owner, minlength=count).astype(np.int64)
    clip_tables: dict[str, Table] = {}
    for name, total in sums.items():
        if name == "embeddings":
            divisor: Table = frames[:, None].astype(np.float32)
            clip_tables[name] = total / divisor
        else:
            clip_tables[name] = np.exp(clip_log_probabilities_of_sums(total, frames)).astype(np.float32)
    if tables & {"weights", "bias"}:
        clip_tables["weights"], clip_tables["bias"] = model_outputs.last_layer()
    return clip_tables
