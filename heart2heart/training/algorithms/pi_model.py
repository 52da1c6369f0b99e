"""The Pi-model (Laine and Aila, ICLR 2017, section 2.1): two views of a frame should be told the same.

As in Fix-A-Step's released code one view is the target, without gradient, where the paper lets the gradient through
both; the loss is then no longer symmetric, but has the same minimum.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName


class PiModel(Algorithm):
    """The squared difference of the probabilities of two weak views."""

    title: ClassVar[str] = "Pi-model"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    joint_views: ClassVar[int | None] = 1

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames; the first view is the target."""
        first, second = step.unlabeled
        with torch.no_grad():
            target = step.model(first).softmax(-1).detach()
        return consistency_loss(step.model_access.no_bn_update(second), target)


def consistency_loss(logits: Tensor, target: Tensor) -> AlgorithmLoss:
    """Return the mean squared difference of probabilities, over classes and frames.

    Args:
        logits: `(u, classes)` of the view that learns.
        target: Probabilities `(u, classes)`, without gradient.
    """
    each = (logits.softmax(-1) - target).square().mean(-1)
    return AlgorithmLoss(each.mean(), per_sample_loss=each)
