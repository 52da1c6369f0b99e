"""Gradient rules of multi-task learning: the weighted sum, and gradient surgery (PCGrad).

PCGrad is Yu et al., NeurIPS 2020, algorithm 1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from heart2heart.training.gradient_rules.base import CombinedGradient, GradientRule, Memory, UnlabeledGradient, opposed


class WeightedSum(GradientRule):
    """The gradient of the weighted sum of the losses."""

    title: ClassVar[str] = "sum"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`."""
        other = unlabeled.gradient()
        return CombinedGradient(labeled + weight * other, opposed(labeled, other).to(labeled.dtype))


class PCGrad(GradientRule):
    """Where the gradients oppose each other, each loses its part along the other; then they are summed.

    With two tasks the random order of the published algorithm makes no difference. The weight of the unlabeled loss
    belongs to its gradient, as it would in a sum of losses.
    """

    title: ClassVar[str] = "PCGrad"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`."""
        other = weight * unlabeled.gradient()
        product = torch.dot(labeled, other)
        against = product < 0
        least = torch.finfo(labeled.dtype).tiny
        from_labeled = labeled - product / torch.dot(other, other).clamp_min(least) * other
        from_other = other - product / torch.dot(labeled, labeled).clamp_min(least) * labeled
        direction = torch.where(against, from_labeled + from_other, labeled + other)
        return CombinedGradient(direction, against.to(labeled.dtype))
