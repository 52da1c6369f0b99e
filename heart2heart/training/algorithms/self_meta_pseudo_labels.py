"""Self meta pseudo labels: the effect of pseudo-labels on the labeled loss decides how strongly they are learned.

Ng and Wang 2022 (arXiv 2212.13420), "Self Meta Pseudo Labels: Meta Pseudo Labels without the teacher"; the feedback is
that of Pham, Dai, Xie and Le, CVPR 2021, "Meta Pseudo Labels", appendix A. One model predicts and learns. A virtual
step down the pseudo-label loss changes the labeled loss; that change weights a second pseudo-label loss. All gradients
are taken at the weights before the step, as in the first author's library, so the two losses are summed here and the
optimiser takes one step.

Departure: the change is the labeled loss before minus after, as Meta Pseudo Labels derives it (a gain makes the
pseudo-labels firmer); the first author's library has the opposite sign. The running mean is subtracted as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.optimiser import virtual_step

SMOOTHING = 0.99
"""Decay of the running mean of the labeled loss's change at each step."""


class SelfMetaPseudoLabels(Algorithm):
    """Hard pseudo-labels, their feedback, and consistency of confident frames.

    A step costs about two FixMatch steps.
    """

    title: ClassVar[str] = "self meta pseudo labels"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    consistency: float = Field(8.0, ge=0)
    """Weight of the cross-entropy between the weak view's probabilities and the strong view (UDA)."""
    ramp: int = Field(0, ge=0)
    """Steps over which that weight rises linearly from zero."""
    temperature: float = Field(1.25, gt=0)
    """Softens those probabilities above 1, sharpens below."""
    threshold: float = Field(0.6, ge=0, le=1)
    """Confidence from which a frame has that cross-entropy."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the feedback of the present step, and the running mean of the labeled loss's change."""
        return {"feedback": torch.zeros(()), "usual_gain": torch.zeros(())}

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Take a virtual step down the pseudo-label loss, and keep its effect on the labeled loss as the feedback."""
        weak, strong = step.unlabeled
        weights, functional_model = step.model_access.weights, step.model_access.functional
        with torch.no_grad():
            label = self._soften(replace(step, callbacks=[]), functional_model(weights)(weak)).argmax(-1)
        loss = functional.cross_entropy(functional_model(weights)(strong), label)
        ahead = virtual_step(loss, weights, step.lr, step.group)
        with torch.no_grad():
            before = step.criterion(functional_model(weights)(step.labeled), step.targets)
            after = step.criterion(functional_model(ahead)(step.labeled), step.targets)
            gain = step.group.mean(before - after)
            mean_gain = step.memory["usual_gain"]
            mean_gain.copy_(SMOOTHING * mean_gain + (1 - SMOOTHING) * gain)
            step.memory["feedback"].copy_(gain - mean_gain)
        return step

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the sum of the pseudo-label loss, its feedback and the consistency, averaged over the batch."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            soft = self._soften(step, step.model(weak))
            confident = (soft.amax(-1) >= self.threshold).to(soft.dtype)
        logits = step.model(strong)
        feedback = step.memory["feedback"].to(logits.dtype)
        ramp = min(1.0, (step.step + 1) / self.ramp) if self.ramp else 1.0
        agreement = functional.cross_entropy(logits, soft, reduction="none") * confident
        loss = feedback_loss(logits, soft.argmax(-1), feedback) + self.consistency * ramp * agreement
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean(), "feedback": feedback})

    def _soften(self, step: StepContext, logits: Tensor) -> Tensor:
        return step.align((logits / self.temperature).softmax(-1))


def feedback_loss(logits: Tensor, label: Tensor, feedback: Tensor) -> Tensor:
    """Return the loss of each frame against its pseudo-label, plus the feedback times that against its own prediction.

    Args:
        logits: `(u, classes)` of the strong view, with gradient.
        label: Pseudo-labels of the weak view, int64 `(u,)`.
        feedback: Scalar: how much a virtual step down the pseudo-label loss lowered the labeled loss, less the mean.

    Returns:
        `(u,)`; the loss is the mean over frames.

    Examples:
        >>> feedback_loss(torch.zeros(1, 2), torch.tensor([1]), torch.tensor(0.5))
        tensor([1.0397])
    """
    learned = functional.cross_entropy(logits, label, reduction="none")
    own = functional.cross_entropy(logits, logits.detach().argmax(-1), reduction="none")
    return learned + feedback * own
