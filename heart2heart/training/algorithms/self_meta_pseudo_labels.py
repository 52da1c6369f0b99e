"""Self meta pseudo labels: what pseudo-labels do to the labeled loss says how far to trust them.

Ng and Wang 2022 (arXiv 2212.13420), "Self Meta Pseudo Labels: Meta Pseudo Labels without the teacher"; the feedback is
that of Pham, Dai, Xie and Le, CVPR 2021, "Meta Pseudo Labels", appendix A. One model guesses and learns. A first step
down the pseudo-label loss changes the labeled loss; that change weights a second pseudo-label loss. All gradients are
taken at the weights before the step, as in the first author's library, so the two steps are one sum here and go through
the optimiser together.

Departure: the change is counted as the labeled loss before minus after, as Meta Pseudo Labels derives it (a gain makes
the guesses firmer); the first author's library has the opposite sign. The running mean is subtracted as there.
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
"""Share of the running mean of the labeled loss's change that stays each step."""


class SelfMetaPseudoLabels(Algorithm):
    """Hard pseudo-labels, their feedback, and consistency of confident frames; about the cost of two FixMatch steps."""

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
    """Confidence from which a frame takes part in that cross-entropy."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the feedback of the present step, and the running mean of the labeled loss's change."""
        return {"feedback": torch.zeros(()), "usual_gain": torch.zeros(())}

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Look one step ahead, and remember what it does to the labeled loss."""
        weak, strong = step.unlabeled
        weights, ask = step.model_access.weights, step.model_access.functional
        with torch.no_grad():
            label = self._soften(replace(step, callbacks=[]), ask(weights)(weak)).argmax(-1)
        ahead = virtual_step(functional.cross_entropy(ask(weights)(strong), label), weights, step.lr, step.group)
        with torch.no_grad():
            before, after = (step.criterion(ask(each)(step.labeled), step.targets) for each in (weights, ahead))
            gain = step.group.mean(before - after)
            usual = step.memory["usual_gain"]
            usual.copy_(SMOOTHING * usual + (1 - SMOOTHING) * gain)
            step.memory["feedback"].copy_(gain - usual)
        return step

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the sum of the pseudo-label loss, its feedback and the consistency, averaged over the batch."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            soft = self._soften(step, step.model(weak))
            confident = (soft.amax(-1) >= self.threshold).to(soft.dtype)
        logits = step.model(strong)
        feedback = step.memory["feedback"].to(logits.dtype)
        learned = functional.cross_entropy(logits, soft.argmax(-1), reduction="none")
        own = functional.cross_entropy(logits, logits.detach().argmax(-1), reduction="none")
        agreed = functional.cross_entropy(logits, soft, reduction="none") * confident
        ramp = min(1.0, (step.step + 1) / self.ramp) if self.ramp else 1.0
        each = learned + feedback * own + self.consistency * ramp * agreed
        return AlgorithmLoss(each.mean(), {"pseudo_label_rate": confident.mean(), "feedback": feedback}, each)

    def _soften(self, step: StepContext, logits: Tensor) -> Tensor:
        return step.align((logits / self.temperature).softmax(-1))
