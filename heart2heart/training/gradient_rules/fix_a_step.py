"""Fix-A-Step's gradient rule (Huang et al., AISTATS 2023, algorithm 1) and its variants.

The rule drops the unlabeled gradient where it opposes the labeled one. The variants decide for each tensor of the
network, against a running mean of labeled gradients, or for each unlabeled frame.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.gradient_rules.base import CombinedGradient, GradientRule, Memory, UnlabeledGradient, opposed


class FixAStep(GradientRule):
    """The unlabeled gradient is dropped where it opposes the labeled one, by one inner product over all parameters.

    Nothing is projected.
    """

    title: ClassVar[str] = "Fix-A-Step's rule"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`."""
        other = unlabeled.gradient()
        against = opposed(labeled, other)
        return CombinedGradient(torch.where(against, labeled, labeled + weight * other), against.to(labeled.dtype))


class PerLayer(GradientRule):
    """The unlabeled gradient is dropped in those tensors of the network in which it opposes the labeled one."""

    title: ClassVar[str] = "rule per layer"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`; the conflict is the share of tensors."""
        other, sizes = unlabeled.gradient(), list(unlabeled.sizes)
        products = torch.stack([part.sum() for part in torch.split(labeled * other, sizes)])
        kept = (products >= 0).to(labeled.dtype)
        parts = zip(torch.split(labeled, sizes), torch.split(other, sizes), kept.unbind(), strict=True)
        direction = torch.cat([mine + weight * keep * theirs for mine, theirs, keep in parts])
        return CombinedGradient(direction, 1 - kept.mean())


_DECAY = 0.99
"""A long mean, since one batch's labeled gradient is mostly noise: the sign of its inner product with another is close
to a coin's, so that Fix-A-Step's rule drops near a half whatever the pool holds (docs/results/mismatch.md)."""


class RunningMean(GradientRule):
    """The unlabeled gradient is dropped where it opposes the mean of the last hundred or so labeled gradients.

    What is followed is still the labeled gradient of this step. The mean needs no bias correction, since only the sign
    of an inner product is taken.
    """

    title: ClassVar[str] = "rule over a running mean"

    def initial_memory(self, parameters: int) -> Memory:
        """See `Rule.memory`."""
        return {"labeled": torch.zeros(parameters)}

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`."""
        other, mean = unlabeled.gradient(), update_running_mean(memory["labeled"], labeled)
        against = opposed(mean, other)
        return CombinedGradient(torch.where(against, labeled, labeled + weight * other), against.to(labeled.dtype))


def update_running_mean(mean: Tensor, labeled: Tensor) -> Tensor:
    """Move the mean towards a gradient in place, and return it in the gradient's precision."""
    mean.lerp_(labeled.to(mean.dtype), 1 - _DECAY)
    return mean.to(labeled.dtype)


class PerFrame(GradientRule):
    """Frames whose gradient opposes the labeled one are left out of the unlabeled loss."""

    title: ClassVar[str] = "rule per frame"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`; the conflict is the share of frames with a loss that oppose.

        Raises:
            ConfigError: the method's unlabeled loss is no mean over frames.
        """
        return drop_conflicting_frames(labeled, labeled, unlabeled, weight)


class PerFrameMean(GradientRule):
    """As `PerFrame`, against the running mean of the labeled gradient."""

    title: ClassVar[str] = "rule per frame over a running mean"

    def initial_memory(self, parameters: int) -> Memory:
        """See `Rule.memory`."""
        return {"labeled": torch.zeros(parameters)}

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """See `Rule.decide`."""
        return drop_conflicting_frames(labeled, update_running_mean(memory["labeled"], labeled), unlabeled, weight)


def drop_conflicting_frames(
    labeled: Tensor, judge: Tensor, unlabeled: UnlabeledGradient, weight: float
) -> CombinedGradient:
    """Return the labeled gradient plus that of the frames which do not oppose `judge`.

    Args:
        labeled: Labeled gradient `(p,)`, which is followed.
        judge: `(p,)`, which frames are held against.
        unlabeled: The unlabeled term.
        weight: Its weight.
    """
    each = unlabeled.per_sample_loss
    if each is None:
        remedy = "Choose another fix_a_step.gradient, or a method whose loss is a mean over frames"
        raise ConfigError("this method's unlabeled loss cannot be decided frame by frame", remedy=remedy)
    product = unlabeled.per_sample_dot(judge)
    kept = (product >= 0).to(each.dtype)
    direction = labeled + weight * unlabeled.gradient((each * kept).mean())
    having = (each.detach() != 0).to(each.dtype)
    conflict = ((1 - kept) * having).sum() / having.sum().clamp_min(1)
    return CombinedGradient(direction, conflict.to(labeled.dtype))
