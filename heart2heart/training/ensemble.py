"""A network that gives the mean of several networks' probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of several networks' probabilities, as logits.

    Args:
        members: Networks from float `(n, channels, size, size)` to logits `(n, classes)`, or more outputs after those.
        classes: Number of classes.

    Examples:
        >>> certain, undecided = nn.Linear(1, 2), nn.Linear(1, 2)
        >>> for member, bias in ((certain, (0.0, -50.0)), (undecided, (0.0, 0.0))):
        ...     member.load_state_dict({"weight": torch.zeros(2, 1), "bias": torch.tensor(bias)})
        <All keys matched successfully>
        <All keys matched successfully>
        >>> Ensemble([certain, undecided], classes=2)(torch.zeros(1, 1)).softmax(-1)
        tensor([[0.7500, 0.2500]], grad_fn=<SoftmaxBackward0>)
    """

    def __init__(self, members: Sequence[nn.Module], classes: int) -> None:
        super().__init__()
        self.members, self.classes = nn.ModuleList(members), classes

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities, `(n, classes)`."""
        each = torch.stack([member(frames)[:, : self.classes].float().log_softmax(-1) for member in self.members])
        return each.logsumexp(0) - math.log(len(self.members))
