"""Temporal Ensembling (Laine and Aila, ICLR 2017, section 2.2): the target is the mean of earlier predictions.

Departures from algorithm 2. The paper updates every ensemble once an epoch. Here a frame's ensemble is updated each
time the frame is drawn, and its bias is corrected by its own number of visits. A frame that was never drawn has no
target and no loss, where the paper gives the whole first epoch the weight zero. The weight's ramp is the run's
(`unlabeled_weight`), and the loss is that of the unlabeled frames alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.algorithms.memory import mean_per_frame
from heart2heart.training.algorithms.pi_model import consistency_loss


class TemporalEnsembling(Algorithm):
    """The squared difference between the probabilities of a frame and their mean over its earlier visits."""

    title: ClassVar[str] = "Temporal Ensembling"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)

    momentum: float = Field(0.6, ge=0, lt=1)
    """Weight of the previous ensemble at each update (the paper's alpha)."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the ensembles `(pool, classes)` and how often each frame was drawn `(pool,)`."""
        return {"ensemble": torch.zeros(pool, classes), "visits": torch.zeros(pool, dtype=torch.int64)}

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames; frames without a target count as 0."""
        (frames,) = step.unlabeled
        memory, index, group = step.memory, step.pool_index, step.group
        logits = step.model(frames)
        target, known = self.target(memory, index)
        loss = consistency_loss(logits, target.to(logits.dtype)) * known.to(logits.dtype)
        probabilities = logits.detach().softmax(-1)
        step.on_step_end(lambda: self.remember(memory, group.all_gather(index), group.all_gather(probabilities)))
        return AlgorithmLoss.from_samples(loss, {"ensemble_rate": known.float().mean()})

    def target(self, memory: Memory, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ensembles of frames, corrected for their start at zero, and which frames have an ensemble.

        Args:
            memory: The tensors of `initial_memory`.
            index: Positions in the pool, int64 `(u,)`.

        Returns:
            Probabilities `(u, classes)`, zero for frames that were never drawn, and bool `(u,)`.
        """
        visits = memory["visits"][index]
        correction = 1 - self.momentum ** visits.to(memory["ensemble"].dtype)
        known = visits > 0
        return memory["ensemble"][index] / torch.where(known, correction, 1)[:, None], known

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, probabilities: Tensor) -> None:
        """Update the ensembles; a frame that a batch holds several times counts once, with its mean.

        Args:
            memory: Changed in place.
            index: Positions in the pool, int64 `(u,)`.
            probabilities: `(u, classes)`.
        """
        ensemble = memory["ensemble"]
        mean = mean_per_frame(index, probabilities.to(ensemble.dtype))
        ensemble[index] = self.momentum * ensemble[index] + (1 - self.momentum) * mean
        memory["visits"][index] = memory["visits"][index] + 1
