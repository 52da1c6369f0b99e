"""Weak-to-strong consistency: the prediction on the weak view is the target of the strong view.

FixMatch (Sohn et al., NeurIPS 2020): a confident prediction on the weak view is the label of the strong view.

UDA, unsupervised data augmentation (Xie et al., NeurIPS 2020): the strong view should be predicted as the weak one.

The target is soft and sharpened, where FixMatch's is hard (section 2.2 and appendix: sharpening and masking). Training
signal annealing (section "training signal annealing" of the paper's first version, arXiv 1904.12848v1) is optional.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.losses import accuracy
from heart2heart.training.pseudo_labels import sharpen


class FixMatch(Algorithm):
    """Hard pseudo-labels above a threshold; cross-entropy on the strong view."""

    title: ClassVar[str] = "FixMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence on the weak view from which the prediction counts as a label."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy on the strong views, averaged over the whole unlabeled batch (equation 4)."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            probabilities = step.align(step.model(weak).softmax(-1))
        loss = pseudo_label_loss(step.model(strong), probabilities, self.threshold)
        confident = confidence_mask(probabilities, self.threshold)
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean()})


def pseudo_label_loss(logits: Tensor, probabilities: Tensor, threshold: float) -> Tensor:
    """Return the cross-entropy of each frame against its hard pseudo-label.

    Args:
        logits: `(u, classes)` of the view that learns, with gradient.
        probabilities: Predicted probabilities `(u, classes)`, without gradient.
        threshold: A frame whose largest probability is below it has the loss 0.

    Returns:
        `(u,)`; FixMatch's loss is the mean over all frames, those with loss 0 included.

    Examples:
        >>> logits = torch.zeros(2, 2)
        >>> probabilities = torch.tensor([[0.99, 0.01], [0.6, 0.4]])
        >>> pseudo_label_loss(logits, probabilities, threshold=0.95)
        tensor([0.6931, 0.0000])
    """
    label = probabilities.argmax(-1)
    mask = confidence_mask(probabilities, threshold).to(logits.dtype)
    return functional.cross_entropy(logits, label, reduction="none") * mask


def confidence_mask(probabilities: Tensor, threshold: float) -> Tensor:
    """Return 1 for frames whose largest probability is at least `threshold` and 0 for others, `(u,)`.

    Args:
        probabilities: `(u, classes)`.
        threshold: 0 to 1.
    """
    return (probabilities.amax(-1) >= threshold).to(probabilities.dtype)


Annealing = Literal["none", "linear", "log", "exp"]


class UDA(Algorithm):
    """Cross-entropy of the strong view against the sharpened prediction on the weak view, if that is confident."""

    title: ClassVar[str] = "UDA"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    temperature: float = Field(0.4, gt=0)
    """Temperature of the targets; below 1 sharpens."""
    threshold: float = Field(0.8, ge=0, le=1)
    """Confidence of the prediction, before sharpening, from which a frame has a loss."""
    annealing: Annealing = "none"
    """Training signal annealing: a labeled frame whose label is predicted with more than a threshold has no loss. The
    threshold rises from 1/classes to 1 over the stage, by the schedule `linear`, `log` (early) or `exp` (late)."""

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the labeled loss; with annealing, only of frames that are not yet predicted too well."""
        if self.annealing == "none":
            return super().labeled_loss(step)
        logits = step.model(step.labeled)
        # A mixed frame has several labels: the sum weights their probabilities.
        label_probability = (logits.detach().softmax(-1) * step.targets).sum(-1)
        kept = label_probability <= annealing_threshold(self.annealing, step.step / step.steps, step.classes)
        metrics = {"train_accuracy": accuracy(logits, step.targets), "annealing_rate": kept.float().mean()}
        return AlgorithmLoss(step.criterion(logits, step.targets, kept.to(logits.dtype)), metrics)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy, averaged over the whole unlabeled batch (equation 1)."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            probabilities = step.align(step.model(weak).softmax(-1)).detach()
        loss = soft_label_loss(step.model(strong), probabilities, self.threshold, self.temperature)
        confident = confidence_mask(probabilities, self.threshold)
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean()})


def soft_label_loss(logits: Tensor, probabilities: Tensor, threshold: float, temperature: float) -> Tensor:
    """Return the cross-entropy of each frame against its sharpened soft label.

    Args:
        logits: `(u, classes)` of the view that learns, with gradient.
        probabilities: Predicted probabilities `(u, classes)`, without gradient.
        threshold: A frame whose largest probability is below it has the loss 0.
        temperature: Temperature of the soft label; below 1 sharpens.

    Returns:
        `(u,)`; UDA's loss is the mean over all frames, those with loss 0 included.

    Examples:
        >>> soft_label_loss(torch.zeros(1, 2), torch.tensor([[0.9, 0.1]]), threshold=0.8, temperature=0.4)
        tensor([0.6931])
    """
    mask = confidence_mask(probabilities, threshold).to(logits.dtype)
    return -(sharpen(probabilities, temperature) * logits.log_softmax(-1)).sum(-1) * mask


def annealing_threshold(schedule: Annealing, progress: float, classes: int) -> float:
    """Return the probability of its label above which a labeled frame has no loss.

    Args:
        schedule: How the threshold rises from 1/classes to 1.
        progress: Share of the stage that is done, 0 to 1.
        classes: Number of classes.

    Examples:
        >>> annealing_threshold("linear", 0.5, classes=4)
        0.625
    """
    rise = {
        "none": 1.0,
        "linear": progress,
        "log": 1 - math.exp(-5 * progress),
        "exp": math.exp(5 * (progress - 1)),
    }[schedule]
    return 1 / classes + rise * (1 - 1 / classes)
