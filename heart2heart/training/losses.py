"""Class weights, and the cross-entropy of labeled frames with hard or soft targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from heart2heart.training.distributed import SINGLE, ProcessGroup

LossScale = Literal["sum_of_weights", "official"]


def inverse_frequency(targets: Tensor, classes: int, rates: Tensor | None = None) -> Tensor:
    """Return class weights proportional to 1 / count that sum to 1 (Fix-A-Step, Heart2Heart settings).

    Args:
        targets: int64 `(n,)`, each class at least once.
        classes: Number of classes.
        rates: How often each frame is drawn `(n,)`, which replaces the count of 1; None counts each frame once.

    Returns:
        float32 `(classes,)`.

    Examples:
        >>> inverse_frequency(torch.tensor([0, 0, 0, 1]), classes=2)
        tensor([0.2500, 0.7500])
    """
    inverse = 1 / torch.bincount(targets, rates, minlength=classes).double()
    return (inverse / inverse.sum()).float()


@dataclass(frozen=True)
class CrossEntropy:
    """Weighted cross-entropy with soft targets: sum_k w_k y_k (-log p_k) per frame, then a mean.

    Label smoothing (Szegedy et al., CVPR 2016, section 7) replaces y_k by (1 - s) y_k + s / classes. The weight of a
    frame, by which the sum is divided, remains that of its label, as in torch.

    Attributes:
        weights: `(classes,)`, or None for equal weights.
        by_weight: Divide the sum over frames by the sum of their weights, sum_k w_k y_k. Otherwise by their number.
        smoothing: Share s of a target that is spread over all classes.
        group: Processes that hold the other rows of the batch. The mean of their losses is the whole batch's loss.

    Examples:
        >>> loss = CrossEntropy(weights=torch.tensor([0.25, 0.75]))
        >>> loss(torch.zeros(2, 2), torch.eye(2))
        tensor(0.6931)
    """

    weights: Tensor | None = None
    by_weight: bool = True
    smoothing: float = 0.0
    group: ProcessGroup = SINGLE

    def __call__(self, logits: Tensor, targets: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; zero if no frame counts.

        Args:
            logits: `(n, classes)`.
            targets: Probabilities `(n, classes)`.
            kept: 1 for frames that count and 0 for others, `(n,)`; None counts all.
        """
        smooth = (1 - self.smoothing) * targets + self.smoothing / targets.shape[-1] if self.smoothing else targets
        each = -(self._weighted(smooth) * logits.log_softmax(-1)).sum(-1)
        if kept is None and not self.by_weight:
            return each.sum() / len(logits)
        share = self._weighted(targets).sum(-1) if self.by_weight else torch.ones_like(each)
        if kept is not None:
            each, share = each * kept, share * kept
        return each.sum() / self.group.mean(share.sum()).clamp_min(torch.finfo(each.dtype).tiny)

    def _weighted(self, targets: Tensor) -> Tensor:
        return targets if self.weights is None else targets * self.weights


def labeled_criterion(
    weights: Tensor | None, scale: LossScale, *, mixing: bool, smoothing: float = 0.0, group: ProcessGroup = SINGLE
) -> CrossEntropy:
    """Return the labeled loss of a run.

    The authors' code divides by the sum of weights in base runs but by the batch size in Fix-A-Step runs, which makes
    the labeled loss of the latter about five times smaller. `sum_of_weights` divides both by the sum of weights;
    `official` repeats the authors' code.
    """
    by_weight = not (scale == "official" and mixing)
    return CrossEntropy(weights, by_weight=by_weight, smoothing=smoothing, group=group)


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the share of frames whose largest logit is at the largest target, a scalar without gradient."""
    with torch.no_grad():
        return (logits.argmax(-1) == targets.argmax(-1)).float().mean()
