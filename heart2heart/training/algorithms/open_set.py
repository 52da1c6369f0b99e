"""Open-set methods: further outputs of the network learn which frames of the pool belong to no class.

MTCF: an extra output learns to distinguish labeled frames from the pool; frames it cannot distinguish are inliers.

Yu, Ikami, Irie and Aizawa, ECCV 2020, "Multi-task curriculum framework for open-set semi-supervised learning", section
3. Each frame of the pool has an out-of-distribution score. The score is the target of the extra output when the frame
is drawn, and is then replaced by that output (joint optimisation of labels and network). Otsu's threshold over all
scores chooses the frames that the classifier learns from. Departures: the classifier learns them by FixMatch's loss,
in the paper by MixMatch's; during the warm-up it learns from labels, where the paper trains the extra output alone.
With Fix-A-Step's mixing the mixed frames count as labeled ones.

OpenMatch: one-vs-all outputs learn which frames belong to no class; FixMatch learns from the other frames.

Saito, Kim and Saenko, NeurIPS 2021, "OpenMatch: Open-set consistency regularization for semi-supervised learning with
outliers". Departures: one output with a sigmoid replaces the paper's two with a softmax, which is the same function;
the weak view at hand decides whether a frame is an inlier, not a pass over the pool each epoch; outliers count as 0 in
FixMatch's mean over the batch, where the paper fills the batch with inliers. The entropy is averaged over classes and
the consistency summed, as in the authors' code, for which the weights below were tuned.
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
"""Bins of the histogram for Otsu's threshold."""


class MTCF(Algorithm):
    """A classifier, and one output for "out of distribution" whose targets for the pool are learned too."""

    title: ClassVar[str] = "MTCF"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    warmup: float = Field(0.09, ge=0, le=1)
    """Share of the run after which the classifier learns from the pool; the paper takes 100 of 1124 epochs."""
    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence of a chosen frame's prediction from which it counts as a label."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output, for "out of distribution"."""
        return 1

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the score of each frame of the pool, at first 1: out of distribution."""
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
        memory, index, group = step.memory, step.pool_index, step.group
        logits, outside = torch.split(step.model_access.outputs(weak), [step.classes, 1], -1)
        outside = outside[:, 0]
        score = memory["score"][index].to(outside.dtype)
        loss = functional.binary_cross_entropy_with_logits(outside, score, reduction="none")
        with torch.no_grad():
            inside = score < otsu_threshold(memory["score"])
            confidence, label = step.align(logits.softmax(-1)).max(-1)
            chosen = (inside & (confidence >= self.threshold)).to(logits.dtype)
            new_score = outside.detach().sigmoid()
        step.on_step_end(lambda: self.remember(memory, group.all_gather(index), group.all_gather(new_score)))
        if step.step >= self.warmup * step.steps:
            loss = loss + functional.cross_entropy(step.model(strong), label, reduction="none") * chosen
        metrics = {"inlier_rate": inside.to(logits.dtype).mean(), "pseudo_label_rate": chosen.mean()}
        return AlgorithmLoss.from_samples(loss, metrics)

    @torch.no_grad()
    def remember(self, memory: Memory, index: Tensor, scores: Tensor) -> None:
        """Replace the scores of frames; a frame that a batch holds several times takes the mean.

        Args:
            memory: Changed in place.
            index: Positions in the pool, int64 `(u,)`.
            scores: `(u,)`, 0 to 1.
        """
        memory["score"][index] = mean_per_frame(index, scores[:, None])[:, 0].to(memory["score"].dtype)


def otsu_threshold(scores: Tensor) -> Tensor:
    """Return the threshold that separates scores best into two groups (Otsu 1979), a scalar.

    The upper group begins at the threshold.

    Args:
        scores: `(n,)`, 0 to 1.

    Examples:
        >>> otsu_threshold(torch.tensor([0.1, 0.1, 0.9])) <= 0.9
        tensor(True)
    """
    share = torch.histc(scores, BINS, 0, 1) / len(scores)
    centres = (torch.arange(BINS, device=scores.device, dtype=scores.dtype) + 0.5) / BINS
    below, moment = share.cumsum(0), (share * centres).cumsum(0)
    variance = (moment[-1] * below - moment).square() / (below * (1 - below)).clamp(min=1e-12)  # between the groups
    return (variance.argmax() + 1).to(scores.dtype) / BINS


class OpenMatch(Algorithm):
    """A classifier and, for each class, an output for "belongs to this class"."""

    title: ClassVar[str] = "OpenMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak", "strong")
    uses_alignment: ClassVar[bool] = True

    entropy: float = Field(0.1, ge=0)
    """Weight of the one-vs-all outputs' entropy."""
    consistency: float = Field(0.5, ge=0)
    """Weight of their consistency over two weak views; the paper takes 1 on CIFAR-100."""
    warmup: float = Field(0.02, ge=0, le=1)
    """Share of the run after which FixMatch begins; the paper takes 10 of 512 epochs."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Confidence of an inlier's prediction from which it counts as a label; the authors take all."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output for each class."""
        return classes

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the classifier's loss plus that of the one-vs-all outputs (the paper's L_ova)."""
        logits, belongs = torch.split(step.model_access.outputs(step.labeled), step.classes, -1)
        one_vs_all = one_vs_all_loss(belongs, step.targets)
        metrics = {"train_accuracy": accuracy(logits, step.targets), "loss_one_vs_all": one_vs_all.detach()}
        return AlgorithmLoss(step.criterion(logits, step.targets) + one_vs_all, metrics)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return entropy (L_em), soft consistency (L_oc) and, after the warm-up, FixMatch on inliers (L_fm)."""
        weak, second, strong = step.unlabeled
        logits, belongs = torch.split(step.model_access.outputs(weak), step.classes, -1)
        _, other = torch.split(step.model_access.outputs(second), step.classes, -1)
        entropy = (binary_entropy(belongs) + binary_entropy(other)).mean(-1) / 2
        loss = self.entropy * entropy + self.consistency * soft_consistency(belongs, other)
        with torch.no_grad():
            confidence, label = step.align(logits.softmax(-1)).max(-1)
            inlier = belongs.gather(-1, label[:, None])[:, 0] > 0
            chosen = (inlier & (confidence >= self.threshold)).to(logits.dtype)
        if step.step >= self.warmup * step.steps:
            loss = loss + functional.cross_entropy(step.model(strong), label, reduction="none") * chosen
        metrics = {"inlier_rate": inlier.to(logits.dtype).mean(), "pseudo_label_rate": chosen.mean()}
        return AlgorithmLoss.from_samples(loss, metrics)


def one_vs_all_loss(belongs: Tensor, targets: Tensor) -> Tensor:
    """Return -log p(belongs to its class) - log p(does not belong to the nearest other class), averaged over frames.

    Args:
        belongs: Logits `(n, classes)` of belonging to each class.
        targets: Probabilities `(n, classes)`; the loss of a soft target is the mean over its classes.

    Returns:
        Scalar (the paper's L_ova).

    Examples:
        >>> one_vs_all_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        tensor(1.3863)
    """
    others = functional.softplus(belongs)[:, None, :].expand(-1, belongs.shape[1], -1)
    own = torch.eye(belongs.shape[1], dtype=torch.bool, device=belongs.device)
    nearest = others.masked_fill(own, 0).amax(-1)  # softplus is positive: 0 is never the largest
    return (targets * (functional.softplus(-belongs) + nearest)).sum(-1).mean()


def soft_consistency(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared difference of the one-vs-all outputs on two views, `(u,)` (the paper's L_oc).

    Args:
        first: Logits `(u, classes)` of belonging to each class.
        second: The same of another view.

    Examples:
        >>> soft_consistency(torch.zeros(1, 2), torch.zeros(1, 2))
        tensor([0.])
    """
    return 2 * (first.sigmoid() - second.sigmoid()).square().sum(-1)


def binary_entropy(logits: Tensor) -> Tensor:
    """Return the entropy of binary outputs, in nats, of the shape of their logits.

    Examples:
        >>> binary_entropy(torch.zeros(1))
        tensor([0.6931])
    """
    return functional.softplus(logits) - logits * logits.sigmoid()
