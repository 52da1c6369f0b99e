"""Labeled training frames that a gradient rule keeps out of the labeled loss, by patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import ConfigError
from heart2heart.training.data import TrainData
from heart2heart.utils import random_stream


def held_out_labels(data: TrainData, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which labeled training frames are held out, bool `(n,)`; all frames of a patient go together.

    Args:
        data: The frames of the run.
        share: Share of each class that is held out at most.
        seed: Root seed of the run.

    Raises:
        ConfigError: no patient can be held out, since every class needs a frame to learn from.
    """
    table = data.frames.frames
    positions = pc.index_in(pa.array(data.train.rows), table["row"])
    sites, patients = (table[name].take(positions).to_pylist() for name in ("site", "patient"))
    names = [f"{site}\x1f{patient}" for site, patient in zip(sites, patients, strict=True)]
    held_out = choose_patients(names, data.train.targets, share, random_stream(seed, "learn", "held out"))
    if not held_out.any():
        remedy = "Label frames of more patients, or choose another fix_a_step.gradient"
        raise ConfigError("too few labeled patients to hold some out", where="fix_a_step.gradient", remedy=remedy)
    return held_out


def choose_patients(
    patients: list[str], targets: npt.NDArray[np.int64], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which frames are held out, bool `(n,)`: patients in random order, as long as no class exceeds the share.

    Args:
        patients: Patient of each frame, `(n,)`.
        targets: Class of each frame, int64 `(n,)`.
        share: Share of each class that is held out at most.
        rng: Random stream.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> choose_patients(["a", "a", "b", "b"], np.array([0, 1, 0, 1]), 0.5, rng).sum()
        np.int64(2)
    """
    names, index = np.unique(patients, return_inverse=True)
    counts = np.zeros((len(names), int(targets.max()) + 1), np.int64)
    np.add.at(counts, (index, targets), 1)
    limit = np.floor(share * counts.sum(0)).astype(np.int64)
    chosen, held = np.zeros(len(names), bool), np.zeros_like(limit)
    for patient in rng.permutation(len(names)):
        if (held + counts[patient] <= limit).all():
            chosen[patient], held = True, held + counts[patient]
    result: npt.NDArray[np.bool_] = chosen[index]
    return result
