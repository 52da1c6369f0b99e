"""UDA, unsupervised data augmentation (Xie et al., NeurIPS 2020): the strong view should be told as the weak one.

The target is sharpened and soft where FixMatch's is hard (section 2.2 and appendix: sharpening and masking). Training
signal annealing (section "training signal annealing" of the paper's first version, arXiv 1904.12848v1) is optional.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.losses import accuracy
from heart2heart.training.pseudo_labels import sharpen

Annealing = Literal["none", "linear", "log", "exp"]


class UDA(Algorithm):
    """Cross-entropy of the strong view against the sharpened guess on the weak view, where that is confident."""

    title: ClassVar[str] = "UDA"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    temperature: float = Field(0.4, gt=0)
    """Sharpening of the guesses; below 1 sharpens."""
    threshold: float = Field(0.8, ge=0, le=1)
    """Confidence of the guess, before sharpening, from which a frame has a loss."""
    annealing: Annealing = "none"
    """Training signal annealing: labeled frames that are told with more than a threshold have no loss; it rises from
    1/classes to 1 over the stage, by the schedule `linear`, `log` (early) or `exp` (late)."""

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the labeled loss, of the frames that are not yet told too well if annealing is configured."""
        if self.annealing == "none":
            return super().labeled_loss(step)
        logits = step.model(step.labeled)
        told = (logits.detach().softmax(-1) * step.targets).sum(-1)  # of a mixed frame: over its shares
        kept = told <= annealing_threshold(self.annealing, step.step / step.steps, step.classes)
        metrics = {"train_accuracy": accuracy(logits, step.targets), "annealing_rate": kept.float().mean()}
        return AlgorithmLoss(step.criterion(logits, step.targets, kept.to(logits.dtype)), metrics)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy, averaged over the whole unlabeled batch (equation 1)."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            guess = step.align(step.model(weak).softmax(-1)).detach()
        return soft_label_loss(step.model(strong), guess, self.threshold, self.temperature)


def soft_label_loss(logits: Tensor, guess: Tensor, threshold: float, temperature: float) -> AlgorithmLoss:
    """Return cross-entropy against sharpened guesses, with the share of confident ones.

    Args:
        logits: `(u, classes)` of the view that learns.
        guess: Probabilities `(u, classes)`, without gradient.
        threshold: Guesses below it add nothing to the sum, but count in the mean.
        temperature: Of the sharpening.
    """
    confident = (guess.amax(-1) >= threshold).to(logits.dtype)
    each = -(sharpen(guess, temperature) * logits.log_softmax(-1)).sum(-1) * confident
    return AlgorithmLoss(each.mean(), {"pseudo_label_rate": confident.mean()}, each)


def annealing_threshold(schedule: Annealing, progress: float, classes: int) -> float:
    """Return the probability of its label above which a labeled frame has no loss.

    Args:
        schedule: How it rises.
        progress: Share of the stage that is done, 0 to 1.
        classes: Number of classes.
    """
    rise = {
        "none": 1.0,
        "linear": progress,
        "log": 1 - math.exp(-5 * progress),
        "exp": math.exp(5 * (progress - 1)),
    }[schedule]
    return 1 / classes + rise * (1 - 1 / classes)
