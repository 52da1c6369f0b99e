"""IOMatch: one more class for frames of no class, whose targets come from one-vs-all outputs.

Li, Qi, Shi and Gao, ICCV 2023, "IOMatch: Simplifying open-set semi-supervised learning with joint inliers and outliers
utilization". The probability of class k times that of "belongs to k" is the target of output k of an open-set
classifier, and the rest is that of its last output, "no class". Losses (the authors' code): cross-entropy and
one-vs-all loss on labels; cross-entropy of confident inliers against their probabilities (L_ui); cross-entropy of the
open-set classifier (L_op). Departures: the further classifiers work on the network's features, without a projection
head; one output with a sigmoid replaces two with a softmax, which is the same function. The authors align the
probabilities with a uniform distribution over 128 batches: set `alignment_batches: 128`, which aligns with the shares
of the labels.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.open_set import one_vs_all_loss
from heart2heart.training.algorithms.weak_to_strong import confidence_mask
from heart2heart.training.losses import accuracy


class IOMatch(Algorithm):
    """A classifier, an output "belongs to this class" for each class, and an open-set classifier over classes + 1."""

    title: ClassVar[str] = "IOMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence of an inlier from which its prediction counts (the paper's tau_p)."""
    open_threshold: float = Field(0.5, ge=0, le=1)
    """Largest open-set target from which a frame counts for the open-set classifier (tau_q)."""
    one_vs_all: float = Field(1.0, ge=0)
    """Weight of the one-vs-all loss of labels."""
    open_set: float = Field(1.0, ge=0)
    """Weight of the open-set classifier's loss."""
    warmup: float = Field(0.004, ge=0, le=1)
    """Share of the run after which the open-set classifier learns; the authors take 1 of 256 epochs."""

    def extra_outputs(self, classes: int) -> int:
        """Return one output for each class, and those of the open-set classifier."""
        return 2 * classes + 1

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the classifier's loss plus the weighted one-vs-all loss (L_s and L_mb)."""
        logits, belongs, _ = split_outputs(step.model_access.outputs(step.labeled), step.classes)
        one_vs_all = one_vs_all_loss(belongs, step.targets)
        metrics = {"train_accuracy": accuracy(logits, step.targets), "loss_one_vs_all": one_vs_all.detach()}
        return AlgorithmLoss(step.criterion(logits, step.targets) + self.one_vs_all * one_vs_all, metrics)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the loss of confident inliers (L_ui) and, after the warm-up, of the open-set classifier (L_op)."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            logits, belongs, _ = split_outputs(step.model_access.outputs(weak).detach(), step.classes)
            probabilities = step.align(logits.softmax(-1))
            targets = open_set_targets(probabilities, belongs.sigmoid())
            inlier = (targets[:, -1] < 0.5).to(logits.dtype)
            chosen = inlier * confidence_mask(probabilities, self.threshold)
            counted = confidence_mask(targets, self.open_threshold)
        logits, _, open_logits = split_outputs(step.model_access.outputs(strong), step.classes)
        loss = -(probabilities * logits.log_softmax(-1)).sum(-1) * chosen
        if step.step >= self.warmup * step.steps:
            loss = loss - self.open_set * (targets * open_logits.log_softmax(-1)).sum(-1) * counted
        metrics = {
            "inlier_rate": inlier.mean(),
            "pseudo_label_rate": chosen.mean(),
            "open_set_rate": counted.mean(),
        }
        return AlgorithmLoss.from_samples(loss, metrics)


def split_outputs(outputs: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of the classes, of belonging to each class, and of the open-set classifier.

    Args:
        outputs: `(n, 3 classes + 1)`.
        classes: Number of classes.

    Examples:
        >>> [part.shape[1] for part in split_outputs(torch.zeros(1, 7), classes=2)]
        [2, 2, 3]
    """
    closed, belongs, open_set = torch.split(outputs, [classes, classes, classes + 1], -1)
    return closed, belongs, open_set


def open_set_targets(probabilities: Tensor, belongs: Tensor) -> Tensor:
    """Return targets over classes + 1, `(u, classes + 1)`; the last is "no class".

    Args:
        probabilities: Probabilities of the classes, `(u, classes)`.
        belongs: Probability of belonging to each class, `(u, classes)`.

    Examples:
        >>> open_set_targets(torch.tensor([[0.75, 0.25]]), torch.tensor([[0.5, 1.0]]))
        tensor([[0.3750, 0.2500, 0.3750]])
    """
    inside = probabilities * belongs
    return torch.cat([inside, (probabilities * (1 - belongs)).sum(-1, keepdim=True)], -1)
