"""Fix-A-Step's decision against a running mean of the labeled gradient instead of that of one noisy batch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from heart2heart.learn.rules.base import Decision, Memory, Rule, Unlabeled, opposed

_DECAY = 0.99
"""A long mean, since one batch's labeled gradient is mostly noise: the sign of its inner product with another is close
to a coin's, so that Fix-A-Step's rule drops near a half whatever the pool holds (docs/results/mismatch.md)."""


class RunningMean(Rule):
    """The unlabeled gradient is dropped where it opposes the mean of the last hundred or so labeled gradients.

    What is followed is still the labeled gradient of this step. The mean needs no bias correction, since only the sign
    of an inner product is taken.
    """

    title: ClassVar[str] = "rule over a running mean"

    def memory(self, parameters: int) -> Memory:
        """See `Rule.memory`."""
        return {"labeled": torch.zeros(parameters)}

    def decide(self, labeled: Tensor, unlabeled: Unlabeled, weight: float, memory: Memory) -> Decision:
        """See `Rule.decide`."""
        other, mean = unlabeled.gradient(), follow(memory["labeled"], labeled)
        against = opposed(mean, other)
        return Decision(torch.where(against, labeled, labeled + weight * other), against.to(labeled.dtype))


def follow(mean: Tensor, labeled: Tensor) -> Tensor:
    """Move the mean towards a gradient in place, and return it in the gradient's precision."""
    mean.lerp_(labeled.to(mean.dtype), 1 - _DECAY)
    return mean.to(labeled.dtype)
