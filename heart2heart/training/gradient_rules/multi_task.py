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
        """Return the combined gradient; the conflict is 0 or 1."""
        other = unlabeled.gradient()
        return CombinedGradient(labeled + weight * other, opposed(labeled, other).to(labeled.dtype))


class PCGrad(GradientRule):
    """If the gradients oppose each other, projects each onto the normal plane of the other; then sums them.

    With two tasks the random order of the published algorithm makes no difference. The weight of the unlabeled loss
    scales its gradient, as in a sum of losses.
    """

    title: ClassVar[str] = "PCGrad"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        other = weight * unlabeled.gradient()
        return CombinedGradient(project_conflicting(labeled, other), opposed(labeled, other).to(labeled.dtype))


def project_conflicting(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of two gradients `(p,)`, each without its part along the other if they oppose each other.

    Examples:
        >>> project_conflicting(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0]))
        tensor([0.5000, 1.5000])
    """
    product = torch.dot(first, second)
    smallest = torch.finfo(first.dtype).tiny
    projected_first = first - product / torch.dot(second, second).clamp_min(smallest) * second
    projected_second = second - product / torch.dot(first, first).clamp_min(smallest) * first
    return torch.where(product < 0, projected_first + projected_second, first + second)
