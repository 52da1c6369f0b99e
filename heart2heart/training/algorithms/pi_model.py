"""The Pi-model (Laine and Aila, ICLR 2017, section 2.1): the predictions on two views of a frame should agree.

As in Fix-A-Step's released code one view is the target, without gradient, where the paper has a gradient through both.
The loss is then no longer symmetric, but it has the same minimum.
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
        return AlgorithmLoss.from_samples(consistency_loss(step.model_access.no_bn_update(second), target))


def consistency_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the squared difference of probabilities of each frame, averaged over classes.

    Args:
        logits: `(u, classes)` of the view that learns, with gradient.
        target: Probabilities `(u, classes)`, without gradient.

    Returns:
        `(u,)`; the loss is the mean over frames.

    Examples:
        >>> consistency_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        tensor([0.2500])
    """
    return (logits.softmax(-1) - target).square().mean(-1)
