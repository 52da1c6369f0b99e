"""Pseudo-Label (Lee, ICML workshop on challenges in representation learning, 2013), with a threshold.

The threshold is that of Oliver et al. (NeurIPS 2018), whose setting Fix-A-Step follows. Below it the released code
takes the guess itself as a soft target without gradient; that cross-entropy has no gradient, so it is left out here.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.fixmatch import pseudo_label_loss


class PseudoLabel(Algorithm):
    """A confident guess is the label of the very view that it was made on."""

    title: ClassVar[str] = "Pseudo-Label"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence of a guess from which it counts as a label."""
    scale_by_classes: bool = False
    """Multiply the loss by the number of classes, as the released code of Fix-A-Step does to the hot entry."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy against the guesses, averaged over the whole unlabeled batch (equation 15)."""
        (frames,) = step.unlabeled
        logits = step.model(frames)
        loss = pseudo_label_loss(logits, step.align(logits.detach().softmax(-1)), self.threshold)
        assert loss.per_sample_loss is not None
        factor = step.classes if self.scale_by_classes else 1
        return AlgorithmLoss(factor * loss.value, loss.metrics, factor * loss.per_sample_loss)
