"""UASD: a frame's soft target is the mean of all guesses made of it so far, and unsure frames are left out.

Chen, Zhu, Li and Gong, AAAI 2020, "Semi-supervised learning under class distribution mismatch" (uncertainty-aware
self-distillation). Departure: the confidence threshold is a running mean over labeled training batches, where the paper
takes the mean over a validation set at every epoch: here validation frames select the weights and serve for nothing
else. Under Fix-A-Step's mixing those batches are the mixed ones, of which a network is less sure.
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
    """Self-distillation against the history of guesses, of frames that are as sure as labeled ones."""

    title: ClassVar[str] = "UASD"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)
    uses_alignment: ClassVar[bool] = True

    smoothing: float = Field(0.99, ge=0, lt=1)
    """Share of the running mean of labeled frames' confidence that stays each step."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the sum and the number of each frame's guesses, and the running mean of labeled frames' confidence."""
        return {
            "guesses": torch.zeros(pool, classes),
            "visits": torch.zeros(pool),
            "confidence": torch.zeros(()),
            "confidence_weight": torch.zeros(()),
        }

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the loss of the labeled batch, whose confidence sets the threshold."""
        logits = step.model(step.labeled)
        memory, kept = step.memory, self.smoothing
        with torch.no_grad():
            confidence = step.group.mean(logits.softmax(-1).amax(-1).mean())
            memory["confidence"].mul_(kept).add_((1 - kept) * confidence)
            memory["confidence_weight"].mul_(kept).add_(1 - kept)
        return AlgorithmLoss(step.criterion(logits, step.targets), {"train_accuracy": accuracy(logits, step.targets)})

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy against the mean of all guesses, averaged over the whole batch."""
        memory, index = step.memory, step.pool_index
        logits = step.model(step.unlabeled[0])
        with torch.no_grad():
            guess = step.align(logits.detach().softmax(-1))
            target = (memory["guesses"][index] + guess) / (memory["visits"][index] + 1)[:, None]
            threshold = self.threshold(memory)
            chosen = (target.amax(-1) >= threshold).to(logits.dtype)
        step.on_step_end(lambda: self.remember(memory, step.group.all_gather(index), step.group.all_gather(guess)))
        each = functional.cross_entropy(logits, target.to(logits.dtype), reduction="none") * chosen
        return AlgorithmLoss(each.mean(), {"chosen_rate": chosen.mean(), "confidence_threshold": threshold}, each)

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, guesses: Tensor) -> None:
        """Take in what was guessed of frames; one that a batch holds several times counts once, with the mean.

        Args:
            memory: Changed in place.
            index: Places in the pool, int64 `(u,)`.
            guesses: Probabilities `(u, classes)`.
        """
        mean = mean_per_frame(index, guesses.to(memory["guesses"].dtype))
        memory["guesses"][index] = memory["guesses"][index] + mean
        memory["visits"][index] = memory["visits"][index] + 1

    @staticmethod
    def threshold(memory: Memory) -> Tensor:
        """Return the mean confidence of labeled frames, a scalar."""
        return memory["confidence"] / memory["confidence_weight"]
