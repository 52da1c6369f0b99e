"""Weak-to-strong consistency: the prediction on the weak view is the target of the strong view.

FixMatch (Sohn et al., NeurIPS 2020): a confident prediction on the weak view is the label of the strong view.

UDA, unsupervised data augmentation (Xie et al., NeurIPS 2020): the strong view should be predicted as the weak one.

The target is soft and sharpened, where FixMatch's is hard (section 2.2 and appendix: sharpening and masking). Training
signal annealing (section "training signal annealing" of the paper's first version, arXiv 1904.12848v1) is optional.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.adaptive_threshold import ThresholdRule, class_thresholds, threshold_memory
from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.losses import accuracy
from heart2heart.training.pseudo_labels import sharpen

LabelSource = Literal["network", "average"]


class WeakToStrong(Algorithm):
    """The settings that methods of this family share: who predicts the weak view, and which predictions count.

    The papers take the network in training and a fixed threshold. The averaged network gives steadier predictions, and
    an adaptive threshold passes more frames where mixing keeps the network from becoming confident.
    """

    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence on the weak view from which the prediction counts as a label."""
    threshold_rule: ThresholdRule = "fixed"
    """`fixed` is `threshold` for every class; `flexmatch` lowers it for classes that are seldom predicted confidently;
    `freematch` follows the network's mean confidence and does not read `threshold`."""
    threshold_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the running means of `threshold_rule: freematch` at each step, 0.999 in the paper."""
    labels_from: LabelSource = "network"
    """Who predicts the weak view: the `network` in training, or its `average` (EMA) in evaluation mode."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the tensors of an adaptive threshold."""
        return threshold_memory(self.threshold_rule, pool, classes)

    @torch.no_grad()
    def predict(self, step: StepContext, weak: Tensor) -> Tensor:
        """Return the probabilities of weak views, `(u, classes)`, aligned if alignment is configured."""
        network = step.model_access.ema if self.labels_from == "average" else step.model
        return step.align(network(weak).softmax(-1)).detach()

    @torch.no_grad()
    def confident(self, step: StepContext, probabilities: Tensor) -> Tensor:
        """Return 1 for frames whose largest probability reaches the threshold of its class, else 0, `(u,)`."""
        thresholds = class_thresholds(self.threshold_rule, step, probabilities, self.threshold, self.threshold_decay)
        largest, label = probabilities.max(-1)
        return (largest >= thresholds[label]).to(probabilities.dtype)


class FixMatch(WeakToStrong):
    """Hard pseudo-labels above a threshold; cross-entropy on the strong view."""

    title: ClassVar[str] = "FixMatch"

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy on the strong views, averaged over the whole unlabeled batch (equation 4)."""
        weak, strong = step.unlabeled
        probabilities = self.predict(step, weak)
        confident = self.confident(step, probabilities)
        loss = functional.cross_entropy(step.model(strong), probabilities.argmax(-1), reduction="none") * confident
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


class UDA(WeakToStrong):
    """Cross-entropy of the strong view against the sharpened prediction on the weak view, if that is confident."""

    title: ClassVar[str] = "UDA"

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
        probabilities = self.predict(step, weak)
        confident = self.confident(step, probabilities)
        loss = soft_label_loss(step.model(strong), probabilities, 0.0, self.temperature) * confident
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
