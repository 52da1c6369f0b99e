"""FixMatch (Sohn et al., NeurIPS 2020): a confident guess on the weak view is the label of the strong view."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName


class FixMatch(Algorithm):
    """Hard pseudo-labels above a threshold; cross-entropy on the strong view."""

    title: ClassVar[str] = "FixMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence of the weak view's guess from which it counts as a label."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy on the strong views, averaged over the whole unlabeled batch (equation 4)."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            guess = step.align(step.model(weak).softmax(-1))
        return pseudo_label_loss(step.model(strong), guess, self.threshold)


def pseudo_label_loss(logits: Tensor, guess: Tensor, threshold: float) -> AlgorithmLoss:
    """Return cross-entropy against hard guesses, with the share of confident ones.

    Args:
        logits: `(u, classes)` of the view that learns.
        guess: Probabilities `(u, classes)`, without gradient.
        threshold: Guesses below it add nothing to the sum, but count in the mean.
    """
    confidence, label = guess.max(-1)
    confident = (confidence >= threshold).to(logits.dtype)
    each = functional.cross_entropy(logits, label, reduction="none") * confident
    return AlgorithmLoss(each.mean(), {"pseudo_label_rate": confident.mean()}, each)
