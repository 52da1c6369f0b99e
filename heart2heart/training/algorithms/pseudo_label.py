"""Pseudo-Label (Lee, ICML workshop on challenges in representation learning, 2013), with a threshold.

The threshold is that of Oliver et al. (NeurIPS 2018), whose setting Fix-A-Step follows. Below it the released code
takes the prediction itself as a soft target without gradient. That cross-entropy has no gradient, so it is left out.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.fixmatch import confidence_mask, pseudo_label_loss


class PseudoLabel(Algorithm):
    """A confident prediction is the label of the same view; the loss is `fixmatch.pseudo_label_loss`."""

    title: ClassVar[str] = "Pseudo-Label"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence from which a prediction counts as a label."""
    scale_by_classes: bool = False
    """Multiply the loss by the number of classes, as the released code of Fix-A-Step does to the hot entry."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy against the pseudo-labels, averaged over the whole batch (equation 15)."""
        (frames,) = step.unlabeled
        logits = step.model(frames)
        probabilities = step.align(logits.detach().softmax(-1))
        loss = pseudo_label_loss(logits, probabilities, self.threshold)
        confident = confidence_mask(probabilities, self.threshold)
        factor = step.classes if self.scale_by_classes else 1
        return AlgorithmLoss.from_samples(factor * loss, {"pseudo_label_rate": confident.mean()})
