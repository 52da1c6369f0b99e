"""FixMatch (Sohn et al., NeurIPS 2020): a confident prediction on the weak view is the label of the strong view."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName


class FixMatch(Algorithm):
    """Hard pseudo-labels above a threshold; cross-entropy on the strong view."""

    title: ClassVar[str] = "FixMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence on the weak view from which the prediction counts as a label."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy on the strong views, averaged over the whole unlabeled batch (equation 4)."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            probabilities = step.align(step.model(weak).softmax(-1))
        loss = pseudo_label_loss(step.model(strong), probabilities, self.threshold)
        confident = confidence_mask(probabilities, self.threshold)
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean()})


def pseudo_label_loss(logits: Tensor, probabilities: Tensor, threshold: float) -> Tensor:
    """Return the cross-entropy of each frame against its hard pseudo-label.

    Args:
        logits: `(u, classes)` of the view that learns, with gradient.
        probabilities: Predicted probabilities `(u, classes)`, without gradient.
        threshold: A frame whose largest probability is below it has the loss 0.

    Returns:
        `(u,)`; FixMatch's loss is the mean over all frames, those with loss 0 included.

    Examples:
        >>> logits = torch.zeros(2, 2)
        >>> probabilities = torch.tensor([[0.99, 0.01], [0.6, 0.4]])
        >>> pseudo_label_loss(logits, probabilities, threshold=0.95)
        tensor([0.6931, 0.0000])
    """
    label = probabilities.argmax(-1)
    mask = confidence_mask(probabilities, threshold).to(logits.dtype)
    return functional.cross_entropy(logits, label, reduction="none") * mask


def confidence_mask(probabilities: Tensor, threshold: float) -> Tensor:
    """Return 1 for frames whose largest probability is at least `threshold` and 0 for others, `(u,)`.

    Args:
        probabilities: `(u, classes)`.
        threshold: 0 to 1.
    """
    return (probabilities.amax(-1) >= threshold).to(probabilities.dtype)
