"""BYOL (Grill et al., "Bootstrap Your Own Latent", 2020)."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.representation.methods.base import PairLoss, PairStep, PretrainMethod, mlp


class BYOL(PretrainMethod):
    """A predictor must tell from one view what an averaged network makes of the other; there are no negatives."""

    title: ClassVar[str] = "BYOL"
    momentum: float = Field(0.99, ge=0, le=1)
    """Share of the averaged network that stays at the first step; it rises to 1 along a cosine."""
    hidden: int = Field(512, ge=1, le=16_384)
    """Width of projector and predictor."""
    output: int = Field(128, ge=2, le=16_384)
    """Dimensions of the projections."""

    def projector(self, features: int) -> nn.Module:
        """See `PretrainMethod.projector`: two layers."""
        return mlp((features, self.hidden, self.output), norm=True)

    def predictor(self) -> nn.Module:
        """See `PretrainMethod.predictor`: built as the projector is."""
        return mlp((self.output, self.hidden, self.output), norm=True)

    def target_momentum(self, step: int, steps: int) -> float:
        """Return `1 - (1 - momentum) (cos(pi step / steps) + 1) / 2` (section 3.2)."""
        return 1 - (1 - self.momentum) * (math.cos(math.pi * step / steps) + 1) / 2

    def loss(self, step: PairStep) -> PairLoss:
        """Return the loss of both directions."""
        first, second = step.views
        value = regression_loss(step.predict(step.project(first)), step.target(second))
        return PairLoss(value + regression_loss(step.predict(step.project(second)), step.target(first)))


def regression_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared distance of directions, `2 - 2 cosine` (equation 2).

    Args:
        predictions: `(n, d)`.
        targets: `(n, d)`, without gradient.

    Examples:
        >>> import torch
        >>> regression_loss(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        tensor(2.)
    """
    return (2 - 2 * functional.cosine_similarity(predictions, targets, dim=1)).mean()
