"""Rules that drop the unlabeled gradient where it does not serve held-out labeled frames.

All are our own. They keep labels back, so that they pay only where the rest suffices; see `probe` for the look-ahead.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from heart2heart.training.gradient_rules.base import CombinedGradient, GradientRule, Memory, UnlabeledGradient, opposed
from heart2heart.training.gradient_rules.fix_a_step import drop_conflicting_frames, drop_opposed, update_running_mean
from heart2heart.training.gradient_rules.probe import Probe


class HeldOutGradient(GradientRule):
    """Drops the unlabeled gradient if it opposes the gradient of held-out labels, after the labeled step.

    Half of the labels are held out. A further pass of as many held-out as labeled frames, forward and backward.
    """

    title: ClassVar[str] = "rule by held-out labels"
    probe_share: ClassVar[float] = 0.5

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        reference = _require_probe(unlabeled).gradient_after(labeled)
        other = unlabeled.gradient()
        conflict = opposed(reference, other).to(labeled.dtype)
        return CombinedGradient(drop_opposed(labeled, other, weight, reference=reference), conflict)


class HeldOutLoss(GradientRule):
    """Drops the unlabeled gradient if a step with it leaves held-out labels a higher loss than a step without it.

    A fifth of the labels are held out. Two further forward passes of as many held-out as labeled frames.
    """

    title: ClassVar[str] = "rule by the loss of held-out labels"
    probe_share: ClassVar[float] = 0.2

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        probe = _require_probe(unlabeled)
        both = labeled + weight * unlabeled.gradient()
        harm = probe.loss_after(both) - probe.loss_after(labeled)
        gradient = torch.where(harm > 0, labeled, both)
        return CombinedGradient(gradient, (harm > 0).to(labeled.dtype), {"held_out_loss_change": harm})


class HeldOutHeadMean(GradientRule):
    """Leaves frames out whose gradient opposes the mean of about the last hundred gradients of held-out labels.

    Half of the labels are held out. A frame is decided by the last layer's part of both gradients. One batch of
    held-out labels is noisy; their running mean is less so.
    """

    title: ClassVar[str] = "rule per frame by the mean over held-out labels"
    probe_share: ClassVar[float] = 0.5

    def initial_memory(self, parameters: int) -> Memory:
        """Return the running mean of the gradient of held-out labels, at first 0."""
        return {"held_out": torch.zeros(parameters)}

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is the share of frames that oppose, of those with a loss."""
        reference = update_running_mean(memory["held_out"], _require_probe(unlabeled).gradient_after(labeled))
        return drop_conflicting_frames(labeled, reference, unlabeled, weight, head=True)


def _require_probe(unlabeled: UnlabeledGradient) -> Probe:
    assert unlabeled.probe is not None, "the batch has no held-out labeled frames"
    return unlabeled.probe
