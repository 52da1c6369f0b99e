"""UASD: a frame's soft target is the mean of all earlier predictions, and uncertain frames are left out.

Chen, Zhu, Li and Gong, AAAI 2020, "Semi-supervised learning under class distribution mismatch" (uncertainty-aware
self-distillation). Departure: the confidence threshold is a running mean over labeled training batches, where the paper
takes the mean over a validation set at every epoch: here validation frames select the weights and have no other use.
With Fix-A-Step's mixing those batches are the mixed ones, for which a network is less confident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.algorithms.memory import mean_per_frame
from heart2heart.training.losses import accuracy


class UASD(Algorithm):
    """Self-distillation against the history of predictions, for frames predicted as confidently as labeled ones."""

    title: ClassVar[str] = "UASD"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)
    uses_alignment: ClassVar[bool] = True

    smoothing: float = Field(0.99, ge=0, lt=1)
    """Decay of the running mean of labeled frames' confidence at each step."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the sum and number of each frame's predictions, and the running mean of labeled frames' confidence."""
        return {
            "guesses": torch.zeros(pool, classes),
            "visits": torch.zeros(pool),
            "confidence": torch.zeros(()),
            "confidence_weight": torch.zeros(()),
        }

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the loss of the labeled batch, whose confidence sets the threshold."""
        logits = step.model(step.labeled)
        memory, decay = step.memory, self.smoothing
        with torch.no_grad():
            confidence = step.group.mean(logits.softmax(-1).amax(-1).mean())
            memory["confidence"].mul_(decay).add_((1 - decay) * confidence)
            memory["confidence_weight"].mul_(decay).add_(1 - decay)
        return AlgorithmLoss(step.criterion(logits, step.targets), {"train_accuracy": accuracy(logits, step.targets)})

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy against the mean of all predictions, averaged over the whole batch."""
        memory, index, group = step.memory, step.pool_index, step.group
        logits = step.model(step.unlabeled[0])
        with torch.no_grad():
            probabilities = step.align(logits.detach().softmax(-1))
            target = (memory["guesses"][index] + probabilities) / (memory["visits"][index] + 1)[:, None]
            threshold = self.threshold(memory)
            chosen = (target.amax(-1) >= threshold).to(logits.dtype)
        step.on_step_end(lambda: self.remember(memory, group.all_gather(index), group.all_gather(probabilities)))
        loss = distillation_loss(logits, target, chosen)
        return AlgorithmLoss.from_samples(loss, {"chosen_rate": chosen.mean(), "confidence_threshold": threshold})

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, probabilities: Tensor) -> None:
        """Add predictions of frames; a frame that a batch holds several times counts once, with its mean.

        Args:
            memory: Changed in place.
            index: Positions in the pool, int64 `(u,)`.
            probabilities: `(u, classes)`.
        """
        mean = mean_per_frame(index, probabilities.to(memory["guesses"].dtype))
        memory["guesses"][index] = memory["guesses"][index] + mean
        memory["visits"][index] = memory["visits"][index] + 1

    @staticmethod
    def threshold(memory: Memory) -> Tensor:
        """Return the mean confidence of labeled frames, a scalar."""
        return memory["confidence"] / memory["confidence_weight"]


def distillation_loss(logits: Tensor, target: Tensor, chosen: Tensor) -> Tensor:
    """Return the cross-entropy of each frame against its soft target; 0 for frames that are not chosen.

    Args:
        logits: `(u, classes)`, with gradient.
        target: Probabilities `(u, classes)`, without gradient.
        chosen: 1 for frames that take part and 0 for others, `(u,)`.

    Returns:
        `(u,)`; UASD's loss is the mean over all frames, those with loss 0 included.

    Examples:
        >>> target = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
        >>> distillation_loss(torch.zeros(2, 2), target, torch.tensor([1.0, 0.0]))
        tensor([0.6931, 0.0000])
    """
    return functional.cross_entropy(logits, target.to(logits.dtype), reduction="none") * chosen
