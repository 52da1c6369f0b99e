"""A fixed set of acoustic perturbations of the validation frames, on which weights are selected."""

from __future__ import annotations

import torch
from torch import Tensor

from heart2heart.training.augment.perturbation import PERTURBATIONS, perturb
from heart2heart.training.data import FramePool

SELECTION_LEVEL = 0.5
"""Level of every perturbation, of the range of its kind."""
PERTURBED_FRAMES = 256
"""Most frames that each kind perturbs."""


class PerturbedFrames:
    """Validation frames under each kind of perturbation, the same for every run of a split.

    Of more than `PERTURBED_FRAMES` frames an even sample of every class is taken. The frames of a kind are computed
    when they are first needed, and kept.

    Args:
        pool: The validation frames.
        targets: int64 `(n,)`, their class indices, on the CPU.

    Attributes:
        kinds: The kinds of perturbation.
        index: Positions of the perturbed frames in the pool, int64, on the CPU.
    """

    def __init__(self, pool: FramePool, targets: Tensor) -> None:
        self.pool, self.kinds = pool, tuple(PERTURBATIONS)
        by_class = targets.argsort(stable=True)
        count = min(len(by_class), PERTURBED_FRAMES)
        self.index = by_class[torch.arange(count) * len(by_class) // count]
        self._frames: dict[str, Tensor] = {}

    def take(self, kind: str) -> Tensor:
        """Return the frames under a kind of perturbation, uint8 `(n, size, size)` on the device."""
        if kind not in self._frames:
            frames = self.pool.take(self.index.to(self.pool.index_device))
            self._frames[kind] = perturb(kind, SELECTION_LEVEL, frames)
        return self._frames[kind]
