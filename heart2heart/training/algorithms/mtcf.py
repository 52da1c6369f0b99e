"""MTCF: an output learns to tell labeled frames from the pool, and gives up on those of the pool that it cannot tell.

Yu, Ikami, Irie and Aizawa, ECCV 2020, "Multi-task curriculum framework for open-set semi-supervised learning", section
3. Each frame of the pool has an out-of-distribution score, which is the target of the output at the frame's next visit
and is replaced by what the output then says (joint optimisation of labels and network). Otsu's threshold over all
scores chooses the frames that the classifier learns from. Departure: the classifier learns them by FixMatch's loss, the
paper by MixMatch's; during the warm-up it learns from labels, where the paper trains the domain output alone. Under
Fix-A-Step's mixing the mixed frames count as labeled ones.
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

BINS = 256
"""Bins of the histogram that Otsu's threshold is found over."""


class MTCF(Algorithm):
    """A classifier, and one output for "out of distribution" whose targets for the pool are learned as well."""

    title: ClassVar[str] = "MTCF"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    warmup: float = Field(0.09, ge=0, le=1)
    """Share of the run after which the pool teaches the classifier; the paper takes 100 of 1124 epochs."""
    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence of a chosen frame's guess from which it counts as a label."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output, for "out of distribution"."""
        return 1

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the score of each frame of the pool, out of distribution at first."""
        return {"score": torch.ones(pool)}

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the classifier's loss plus that of the domain output, whose target is 0."""
        logits, outside = torch.split(step.model_access.outputs(step.labeled), [step.classes, 1], -1)
        domain = functional.softplus(outside).mean()
        metrics = {"train_accuracy": accuracy(logits, step.targets), "loss_domain": domain.detach()}
        return AlgorithmLoss(step.criterion(logits, step.targets) + domain, metrics)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the domain output's loss and, after the warm-up, FixMatch on the chosen frames."""
        weak, strong = step.unlabeled
        memory, index = step.memory, step.pool_index
        logits, outside = torch.split(step.model_access.outputs(weak), [step.classes, 1], -1)
        outside = outside[:, 0]
        score = memory["score"][index].to(outside.dtype)
        each = functional.binary_cross_entropy_with_logits(outside, score, reduction="none")
        with torch.no_grad():
            inside = score < otsu_threshold(memory["score"])
            confidence, label = step.align(logits.softmax(-1)).max(-1)
            chosen = (inside & (confidence >= self.threshold)).to(logits.dtype)
            answer = outside.detach().sigmoid()
        step.on_step_end(lambda: self.remember(memory, step.group.all_gather(index), step.group.all_gather(answer)))
        if step.step >= self.warmup * step.steps:
            each = each + functional.cross_entropy(step.model(strong), label, reduction="none") * chosen
        metrics = {"inlier_rate": inside.to(logits.dtype).mean(), "pseudo_label_rate": chosen.mean()}
        return AlgorithmLoss(each.mean(), metrics, each)

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, answers: Tensor) -> None:
        """Put what was answered for frames in force; one that a batch holds several times takes the mean.

        Args:
            memory: Changed in place.
            index: Places in the pool, int64 `(u,)`.
            answers: `(u,)`.
        """
        memory["score"][index] = mean_per_frame(index, answers[:, None])[:, 0].to(memory["score"].dtype)


def otsu_threshold(scores: Tensor) -> Tensor:
    """Return the threshold that separates scores best into two groups (Otsu 1979), a scalar; the upper begins at it.

    Args:
        scores: `(n,)`, 0 to 1.
    """
    share = torch.histc(scores, BINS, 0, 1) / len(scores)
    centres = (torch.arange(BINS, device=scores.device, dtype=scores.dtype) + 0.5) / BINS
    below, moment = share.cumsum(0), (share * centres).cumsum(0)
    apart = (moment[-1] * below - moment).square() / (below * (1 - below)).clamp(min=1e-12)
    return (apart.argmax() + 1).to(scores.dtype) / BINS
