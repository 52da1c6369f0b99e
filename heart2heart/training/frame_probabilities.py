"""Probabilities of views, frame by frame, by any model that gives logits."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.store.frame_tables import FrameTables
from heart2heart.training.validation import INFERENCE_BATCH


class HasPixels(Protocol):
    """A clip: uint8 `(n, size, size)` in `pixels`."""

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """The frames."""


class _Predicts(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...

    def predict(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]: ...


def frame_probabilities(
    model: _Predicts, frames: npt.NDArray[np.uint8] | HasPixels | FrameTables
) -> npt.NDArray[np.float64]:
    """Return the probability of each view, float64 `(n, classes)`, of frames, a clip or a store by any model."""
    if isinstance(frames, FrameTables):
        rows = frames.frames["row"].to_numpy()
        starts = range(0, len(rows), INFERENCE_BATCH)
        parts = [model.predict(frames.read(rows[start : start + INFERENCE_BATCH])) for start in starts]
        logits = np.concatenate([np.empty((0, len(model.classes)), np.float32), *parts])
    else:
        logits = model.predict(frames if isinstance(frames, np.ndarray) else frames.pixels)
    return np.exp(log_softmax(logits))
