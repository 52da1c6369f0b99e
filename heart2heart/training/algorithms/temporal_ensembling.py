"""Temporal Ensembling (Laine and Aila, ICLR 2017, section 2.2): the target is what was told of a frame before.

Departures from algorithm 2. The paper updates every ensemble once an epoch; here a frame's ensemble is updated at each
visit, and its bias is corrected by its own number of visits. A frame that was never visited has no target and no loss,
where the paper gives the whole first epoch the weight zero. The ramp of the weight is the run's (`unlabeled_weight`),
and the loss is that of the unlabeled frames alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.algorithms.memory import mean_per_frame


class TemporalEnsembling(Algorithm):
    """The squared difference between the probabilities of a frame and their mean over its earlier visits."""

    title: ClassVar[str] = "Temporal Ensembling"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)

    momentum: float = Field(0.6, ge=0, lt=1)
    """Weight of the ensemble so far at each update (the paper's alpha)."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the ensembles `(pool, classes)` and how often each frame was visited `(pool,)`."""
        return {"ensemble": torch.zeros(pool, classes), "visits": torch.zeros(pool, dtype=torch.int64)}

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames; the mean counts frames without a target."""
        (frames,) = step.unlabeled
        guess = step.model(frames).softmax(-1)
        target, known = self.target(step.memory, step.pool_index)
        each = (guess - target.to(guess.dtype)).square().mean(-1) * known.to(guess.dtype)
        told = guess.detach()
        step.on_step_end(
            lambda: self.remember(step.memory, step.group.all_gather(step.pool_index), step.group.all_gather(told))
        )
        return AlgorithmLoss(each.mean(), {"ensemble_rate": known.float().mean()}, each)

    def target(self, memory: Memory, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ensembles of frames, corrected for their start at zero, and which frames have one.

        Args:
            memory: What `memory` made.
            index: Places in the pool, int64 `(u,)`.

        Returns:
            Probabilities `(u, classes)`, zero for frames without a visit, and bool `(u,)`.
        """
        visits = memory["visits"][index]
        correction = 1 - self.momentum ** visits.to(memory["ensemble"].dtype)
        known = visits > 0
        return memory["ensemble"][index] / torch.where(known, correction, 1)[:, None], known

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, guesses: Tensor) -> None:
        """Take in what was told of the frames; one that a batch holds several times counts once, with the mean.

        Args:
            memory: Changed in place.
            index: Places in the pool, int64 `(u,)`.
            guesses: Probabilities `(u, classes)`.
        """
        ensemble = memory["ensemble"]
        mean = mean_per_frame(index, guesses.to(ensemble.dtype))
        ensemble[index] = self.momentum * ensemble[index] + (1 - self.momentum) * mean
        memory["visits"][index] = memory["visits"][index] + 1
