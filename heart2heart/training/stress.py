"""Predicts perturbed test frames, for the stress test of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from heart2heart.errors import ConfigError
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.store.frame_store import Frames
from heart2heart.training.augment.perturbation import PERTURBATIONS, perturb
from heart2heart.training.predict import Predict

STRESS_KINDS: tuple[str, ...] = (
    "depth", "aspect", "rotation", "sector_angle", "blur", "speckle", "attenuation", "time_gain", "shadow", "haze",
    "gain", "dynamic_range", "black_level", "gamma", "contrast", "overlay",
)  # fmt: skip
"""Kinds of the stress test unless a caller names others."""

STRESS_LEVELS = (0.25, 0.5, 0.75, 1.0)
_BATCH = 256


def add_perturbed_frames(
    predictions: Predictions,
    stores: Frames,
    predict: Predict,
    *,
    kinds: Sequence[str] = STRESS_KINDS,
    levels: Sequence[float] = STRESS_LEVELS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Predictions:
    """Append rows of perturbed frames to the predictions of one run.

    One frame of each clip is perturbed, the middle one of its scored test frames, by every kind at every level. What
    chance decides, such as the place of a shadow, is the same at every level and for every run.

    Args:
        predictions: The predictions of one run.
        stores: The stores with the frames.
        predict: Maps frames, uint8 `(n, size, size)`, and their hospitals to logits float32 `(n, classes)`.
        kinds: Names of `PERTURBATIONS`.
        levels: Levels above 0, at most 1.
        seed: Seed of what chance decides.
        progress: Receives the number of perturbed frames done.

    Raises:
        ConfigError: an unknown kind, or a level outside the range.
    """
    check_stress(kinds, levels)
    progress = progress or NoProgress()
    table = _middle_frames(predictions)
    index = pc.index_in(table["frame"], stores.frames["frame"])
    rows = stores.frames["row"].take(index).to_numpy().astype(np.int64)
    sites = table["site"].to_pylist()
    parts, done = [predictions.table], 0
    for kind in kinds:
        for level in levels:
            logits: list[npt.NDArray[np.float32]] = []
            for start in range(0, len(rows), _BATCH):
                batch = slice(start, start + _BATCH)
                frames = torch.from_numpy(stores.read(rows[batch]))
                logits += list(predict(perturb(kind, level, frames, seed + start).numpy(), sites[batch]))
                done += len(frames)
                progress.update(done)
            parts.append(_perturbed_rows(table, kind, level, logits))
    return replace(predictions, table=pa.concat_tables(parts, promote_options="default"))


def check_stress(kinds: Sequence[str], levels: Sequence[float]) -> None:
    """Raise ConfigError for an unknown or repeated kind, or a level outside the range."""
    unknown = [kind for kind in kinds if kind not in PERTURBATIONS]
    if unknown or not kinds:
        what = f"no perturbation {unknown[0]!r}" if unknown else "no perturbation is named"
        raise ConfigError(what, where="stress", remedy=f"Choose from {', '.join(PERTURBATIONS)}")
    if len(set(kinds)) < len(kinds) or len(set(levels)) < len(levels) or not levels:
        raise ConfigError("a perturbation or a level is named twice, or none", where="stress", remedy="Name each once")
    outside = [level for level in levels if not 0 < level <= 1]
    if outside:
        remedy = "Levels are above 0, unperturbed, and at most 1, the end of the range"
        raise ConfigError(f"level {outside[0]} is outside the range", where="stress", remedy=remedy)


def _middle_frames(predictions: Predictions) -> pa.Table:
    """Return the middle scored test frame of each clip, in the order of the table."""
    table = predictions.table
    classes = pa.array(predictions.provenance.classes, pa.string())
    scored = pc.and_(pc.equal(table["role"], PredictionRole.TEST), pc.is_in(table["truth"], value_set=classes))
    table = table.filter(scored)
    positions: dict[str, list[tuple[int, int]]] = {}
    for row, (clip, index) in enumerate(zip(table["clip"].to_pylist(), table["index"].to_pylist(), strict=True)):
        positions.setdefault(clip, []).append((index, row))
    middle = [sorted(frames)[len(frames) // 2][1] for frames in positions.values()]
    return table.take(pa.array(sorted(middle), pa.int64()))


def _perturbed_rows(table: pa.Table, kind: str, level: float, logits: list[npt.NDArray[np.float32]]) -> pa.Table:
    """Return the rows with the role, kind and level of the stress test, other logits, and no image."""
    count = len(table)
    new: dict[str, Any] = {
        "role": pa.array([PredictionRole.PERTURBED.value] * count, pa.string()),
        "logits": pa.array(logits, pa.list_(pa.float32())),
        "image": pa.nulls(count, pa.binary()),
    }
    columns = {name: new.get(name, table[name]) for name in PREDICTIONS.names}
    columns["perturbation"] = pa.array([kind] * count, pa.string())
    columns["level"] = pa.array([level] * count, pa.float32())
    return pa.table(columns)
