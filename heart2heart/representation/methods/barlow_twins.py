"""Barlow Twins (Zbontar et al., "Self-Supervised Learning via Redundancy Reduction", 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.representation.methods.base import PairLoss, PairStep, PretrainMethod, mlp


class BarlowTwins(PretrainMethod):
    """Each dimension must agree between the views, and tell something else than every other dimension."""

    title: ClassVar[str] = "Barlow Twins"
    redundancy_weight: float = Field(0.005, ge=0)
    """Weight of the terms off the diagonal (lambda)."""
    hidden: int = Field(512, ge=1, le=16_384)
    """Width of the projector."""
    output: int = Field(512, ge=2, le=16_384)
    """Dimensions of the projections; more of them help (section 4.3)."""

    def projector(self, features: int) -> nn.Module:
        """See `PretrainMethod.projector`: three layers."""
        return mlp((features, self.hidden, self.hidden, self.output), norm=True)

    def loss(self, step: PairStep) -> PairLoss:
        """Return the loss of the cross-correlation."""
        first, second = (step.project(view) for view in step.views)
        return PairLoss(cross_correlation_loss(first, second, self.redundancy_weight))


def cross_correlation_loss(first: Tensor, second: Tensor, redundancy_weight: float) -> Tensor:
    """Return `sum_i (1 - C_ii)^2 + weight sum_(i != j) C_ij^2` of the cross-correlation C of the dimensions.

    Args:
        first: Projections of the first views, `(n, d)`, n at least 2.
        second: Projections of the second views, `(n, d)`.
        redundancy_weight: Weight of the terms off the diagonal.

    Examples:
        >>> views = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> abs(round(float(cross_correlation_loss(views, views, 1.0)), 3))
        0.0
    """
    normal = [functional.batch_norm(each, None, None, training=True) for each in (first, second)]
    correlation = normal[0].T @ normal[1] / len(first)
    diagonal = torch.diagonal(correlation)
    others = correlation.square().sum() - diagonal.square().sum()
    return (1 - diagonal).square().sum() + redundancy_weight * others
