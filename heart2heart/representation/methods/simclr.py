"""SimCLR (Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.representation.methods.base import PairLoss, PairStep, PretrainMethod, mlp


class SimCLR(PretrainMethod):
    """Each view must find its partner among all other views of the batch."""

    title: ClassVar[str] = "SimCLR"
    temperature: float = Field(0.5, gt=0)
    """Divides the cosine similarities; small values weigh the hardest negatives most."""
    hidden: int = Field(512, ge=1, le=16_384)
    """Width of the projector."""
    output: int = Field(128, ge=2, le=16_384)
    """Dimensions of the projections."""

    def projector(self, features: int) -> nn.Module:
        """See `PretrainMethod.projector`: two layers (section 4.2)."""
        return mlp((features, self.hidden, self.output), norm=True)

    def loss(self, step: PairStep) -> PairLoss:
        """Return the loss; both views pass as one batch."""
        first, second = step.project(torch.cat(step.views)).chunk(2)
        value, hits = nt_xent(first, second, self.temperature)
        return PairLoss(value, {"partner_found": hits})


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the normalised temperature-scaled cross-entropy (equation 1), and how often a partner is the nearest.

    Args:
        first: Projections of the first views, `(n, d)`, n at least 2.
        second: Projections of the second views, `(n, d)`.
        temperature: Divides the cosine similarities.

    Returns:
        The mean over all 2 n views, and the share of views whose partner is the most similar of all others.

    Examples:
        >>> views = torch.eye(3)
        >>> round(float(nt_xent(views, views, temperature=1.0)[0]), 4)  # log(e + 4) - 1
        0.9048
    """
    n = len(first)
    views = functional.normalize(torch.cat([first, second]), dim=1)
    similarity = views @ views.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=views.device), -torch.inf)
    partner = torch.arange(2 * n, device=views.device).roll(n)
    hits = (similarity.detach().argmax(1) == partner).float().mean()
    return functional.cross_entropy(similarity, partner), hits
