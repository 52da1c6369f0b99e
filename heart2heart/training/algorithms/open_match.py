"""OpenMatch: one-vs-all outputs learn what belongs to no class, and FixMatch sees only what belongs to one.

Saito, Kim and Saenko, NeurIPS 2021, "OpenMatch: Open-set consistency regularization for semi-supervised learning with
outliers". Departures: an output with a sigmoid stands for the paper's two with a softmax, which is the same function; a
frame is taken for an inlier by its weak view at hand, not by a pass over the pool each epoch; outliers add nothing to
FixMatch's mean over the batch, where the paper fills the batch with inliers. The entropy is averaged over classes and
the consistency summed, as in the authors' code, which the weights below were tuned with.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.losses import accuracy


class OpenMatch(Algorithm):
    """A classifier and, for each class, an output that says whether a frame belongs to it."""

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
    """Confidence of an inlier's guess from which it counts as a label; the authors take all."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output a class."""
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
        difference = 2 * (belongs.sigmoid() - other.sigmoid()).square().sum(-1)
        each = self.entropy * entropy + self.consistency * difference
        with torch.no_grad():
            confidence, label = step.align(logits.softmax(-1)).max(-1)
            inlier = belongs.gather(-1, label[:, None])[:, 0] > 0
            chosen = (inlier & (confidence >= self.threshold)).to(logits.dtype)
        if step.step >= self.warmup * step.steps:
            each = each + functional.cross_entropy(step.model(strong), label, reduction="none") * chosen
        metrics = {"inlier_rate": inlier.to(logits.dtype).mean(), "pseudo_label_rate": chosen.mean()}
        return AlgorithmLoss(each.mean(), metrics, each)


def one_vs_all_loss(belongs: Tensor, targets: Tensor) -> Tensor:
    """Return -log p(belongs to its class) - log p(does not belong to the nearest other class), averaged over frames.

    Args:
        belongs: Logits `(n, classes)` of belonging to each class.
        targets: Probabilities `(n, classes)`; the loss of a soft target is the mean over the classes it may be.
    """
    others = functional.softplus(belongs)[:, None, :].expand(-1, belongs.shape[1], -1)
    own = torch.eye(belongs.shape[1], dtype=torch.bool, device=belongs.device)
    nearest = others.masked_fill(own, 0).amax(-1)  # softplus is positive: 0 never is the largest
    return (targets * (functional.softplus(-belongs) + nearest)).sum(-1).mean()


def binary_entropy(logits: Tensor) -> Tensor:
    """Return the entropy in nats of yes-or-no outputs, of their shape."""
    return functional.softplus(logits) - logits * logits.sigmoid()
