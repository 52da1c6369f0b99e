"""Controls without a pool: mixing and strong augmentation of the labeled frames alone.

A semi-supervised method that mixes or augments strongly may gain from that alone. These two baselines show how much of
the gain needs no unlabeled frame. Oliver et al. (NeurIPS 2018, section 4.2) ask for such well-regularised baselines.

Mixup: Zhang, Cisse, Dauphin and Lopez-Paz, ICLR 2018, "mixup: Beyond empirical risk minimization", equation 1. As in
Fix-A-Step's mixing, one share is drawn for the whole batch, and the larger part belongs to the frame itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, LabeledViewName, StepContext
from heart2heart.training.mixing import draw_mix, mix_rows


class SupervisedMixup(Algorithm):
    """Supervised learning from labeled frames that are mixed with each other."""

    title: ClassVar[str] = "labels only, mixup"
    mixes_labeled: ClassVar[bool] = True

    alpha: float = Field(0.5, gt=0)
    """Both parameters of the Beta distribution that the share is drawn from; 0.5 is that of Fix-A-Step's mixing."""

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Return the step with each labeled frame mixed with another labeled frame of the batch."""
        return mix_labels(step, self.alpha)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return None: there is no unlabeled loss."""
        return None


@torch.no_grad()
def mix_labels(step: StepContext, alpha: float) -> StepContext:
    """Return the step with each labeled frame mixed with another labeled frame of the batch, over all processes.

    Args:
        step: The present step.
        alpha: Both parameters of the Beta distribution that the share is drawn from.
    """
    group = step.group
    frames, targets = group.all_gather(step.labeled), group.all_gather(step.targets)
    mix = draw_mix(alpha, len(frames), step.generator)
    partner = mix.order[group.rows(len(frames))]
    mixed = mix_rows(step.labeled, frames[partner], mix.share)
    return replace(step, labeled=mixed, targets=mix_rows(step.targets, targets[partner], mix.share))


class SupervisedStrong(Algorithm):
    """Supervised learning from the strong view of labeled frames, in place of their own view."""

    title: ClassVar[str] = "labels only, strong augmentation"
    labeled_view: ClassVar[LabeledViewName] = "strong"

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return None: there is no unlabeled loss."""
        return None
