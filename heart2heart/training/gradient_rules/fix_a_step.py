"""Fix-A-Step's gradient rule (Huang et al., AISTATS 2023, algorithm 1) and its variants.

The rule drops the unlabeled gradient if it opposes the labeled gradient. The variants decide for each tensor of the
network, against a running mean of labeled gradients, or for each unlabeled frame.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.gradient_rules.base import CombinedGradient, GradientRule, Memory, UnlabeledGradient, opposed


class FixAStep(GradientRule):
    """Drops the unlabeled gradient if its inner product with the labeled gradient, over all parameters, is negative.

    Nothing is projected.
    """

    title: ClassVar[str] = "Fix-A-Step's rule"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        other = unlabeled.gradient()
        conflict = opposed(labeled, other).to(labeled.dtype)
        return CombinedGradient(drop_opposed(labeled, other, weight, reference=labeled), conflict)


def drop_opposed(labeled: Tensor, unlabeled: Tensor, weight: float, *, reference: Tensor) -> Tensor:
    """Return `labeled + weight * unlabeled`, or `labeled` if `unlabeled` opposes `reference`.

    Args:
        labeled: Labeled gradient `(p,)`.
        unlabeled: Unlabeled gradient `(p,)`.
        weight: Weight of the unlabeled loss.
        reference: `(p,)`, the gradient that decides: `labeled` in Fix-A-Step, or its running mean.

    Examples:
        >>> labeled, unlabeled = torch.tensor([1.0, 0.0]), torch.tensor([-0.5, 1.0])
        >>> drop_opposed(labeled, unlabeled, 1.0, reference=labeled)
        tensor([1., 0.])
    """
    return torch.where(opposed(reference, unlabeled), labeled, labeled + weight * unlabeled)


class PerLayer(GradientRule):
    """Drops the unlabeled gradient in those tensors of the network in which it opposes the labeled gradient."""

    title: ClassVar[str] = "rule per layer"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is the share of tensors."""
        other, sizes = unlabeled.gradient(), list(unlabeled.sizes)
        products = torch.stack([part.sum() for part in torch.split(labeled * other, sizes)])
        kept = (products >= 0).to(labeled.dtype)
        parts = zip(torch.split(labeled, sizes), torch.split(other, sizes), kept.unbind(), strict=True)
        gradient = torch.cat([first + weight * keep * second for first, second, keep in parts])
        return CombinedGradient(gradient, 1 - kept.mean())


_DECAY = 0.99
"""Decay of the running mean. It is long, since one batch's labeled gradient is mostly noise: the sign of its inner
product with another gradient is close to random, so that Fix-A-Step's rule drops about half of the unlabeled gradients
whatever the pool holds (docs/results/mismatch.md)."""


class RunningMean(GradientRule):
    """Drops the unlabeled gradient if it opposes the mean of about the last hundred labeled gradients.

    The step still follows its own labeled gradient. The mean needs no bias correction, since only the sign of an inner
    product counts.
    """

    title: ClassVar[str] = "rule over a running mean"

    def initial_memory(self, parameters: int) -> Memory:
        """Return the running mean of the labeled gradient, at first 0."""
        return {"labeled": torch.zeros(parameters)}

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        other, mean = unlabeled.gradient(), update_running_mean(memory["labeled"], labeled)
        conflict = opposed(mean, other).to(labeled.dtype)
        return CombinedGradient(drop_opposed(labeled, other, weight, reference=mean), conflict)


def update_running_mean(mean: Tensor, labeled: Tensor) -> Tensor:
    """Move the mean towards a gradient in place, and return it in the gradient's precision."""
    mean.lerp_(labeled.to(mean.dtype), 1 - _DECAY)
    return mean.to(labeled.dtype)


class PerFrame(GradientRule):
    """Leaves frames whose gradient opposes the labeled gradient out of the unlabeled loss."""

    title: ClassVar[str] = "rule per frame"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is the share of frames that oppose, of those with a loss.

        Raises:
            ConfigError: the method's unlabeled loss is not a mean over frames.
        """
        return drop_conflicting_frames(labeled, labeled, unlabeled, weight)


class PerFrameMean(GradientRule):
    """As `PerFrame`, against the running mean of the labeled gradient."""

    title: ClassVar[str] = "rule per frame over a running mean"

    def initial_memory(self, parameters: int) -> Memory:
        """Return the running mean of the labeled gradient, at first 0."""
        return {"labeled": torch.zeros(parameters)}

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        return drop_conflicting_frames(labeled, update_running_mean(memory["labeled"], labeled), unlabeled, weight)


class PerFrameHead(GradientRule):
    """As `PerFrame`, by the gradients of the network's last layer alone: no further pass through the network."""

    title: ClassVar[str] = "rule per frame by the last layer"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is the share of frames that oppose, of those with a loss."""
        return drop_conflicting_frames(labeled, labeled, unlabeled, weight, head=True)


class PerFrameHeadMean(PerFrameMean):
    """As `PerFrameHead`, against the running mean of the labeled gradient."""

    title: ClassVar[str] = "rule per frame by the last layer over a running mean"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is the share of frames that oppose, of those with a loss."""
        reference = update_running_mean(memory["labeled"], labeled)
        return drop_conflicting_frames(labeled, reference, unlabeled, weight, head=True)


def drop_conflicting_frames(
    labeled: Tensor, reference: Tensor, unlabeled: UnlabeledGradient, weight: float, *, head: bool = False
) -> CombinedGradient:
    """Return the labeled gradient plus that of the frames that do not oppose `reference`.

    Args:
        labeled: Labeled gradient `(p,)`.
        reference: `(p,)`, the gradient that decides on each frame.
        unlabeled: The unlabeled loss.
        weight: Its weight.
        head: Decide by the last layer's part of the gradients.

    Raises:
        ConfigError: the unlabeled loss is not a mean over frames.
    """
    loss = unlabeled.per_sample_loss
    if loss is None:
        remedy = "Choose another fix_a_step.gradient, or a method whose loss is a mean over frames"
        raise ConfigError("this method's unlabeled loss cannot be decided frame by frame", remedy=remedy)
    product = unlabeled.per_sample_head_dot(reference) if head else unlabeled.per_sample_dot(reference)
    kept = (product >= 0).to(loss.dtype)
    gradient = labeled + weight * unlabeled.gradient((loss * kept).mean())
    with_loss = (loss.detach() != 0).to(loss.dtype)
    conflict = ((1 - kept) * with_loss).sum() / with_loss.sum().clamp_min(1)
    return CombinedGradient(gradient, conflict.to(labeled.dtype))
