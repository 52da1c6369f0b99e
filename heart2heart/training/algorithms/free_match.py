"""FreeMatch: FixMatch with a self-adaptive threshold and a fairness term.

Wang, Chen, Heng, Hou, Fan, Wu, Wang, Savvides, Shinozaki, Raj, Schiele and Xie, ICLR 2023, "FreeMatch: Self-adaptive
thresholding for semi-supervised learning". The thresholds are those of `adaptive_threshold`. The self-adaptive fairness
term is minus the cross-entropy between two class distributions, each divided by the histogram of its predicted classes
and scaled to sum 1: the running mean of the predictions on weak views, and the mean prediction on the strong views of
the frames that pass the threshold. A batch of which no frame passes has no term.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.adaptive_threshold import SelfAdaptiveState, ThresholdRule
from heart2heart.training.algorithms.base import AlgorithmLoss, StepContext
from heart2heart.training.algorithms.weak_to_strong import WeakToStrong
from heart2heart.training.distributed import ProcessGroup

_LOG_EPSILON = 1e-12  # as in the authors' code: keeps the logarithm of a class that is never predicted finite


class FreeMatch(WeakToStrong):
    """Hard pseudo-labels above a threshold that follows the network's confidence, and a term for fair classes."""

    title: ClassVar[str] = "FreeMatch"

    threshold_rule: ThresholdRule = "freematch"
    """`freematch` is the paper's threshold; with the others, which FixMatch describes, there is no fairness term."""
    fairness: float = Field(0.01, ge=0)
    """Weight of the fairness term; the paper takes 0.01 or 0.05, by data set."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy on the strong views, averaged over the whole batch, plus the fairness term."""
        weak, strong = step.unlabeled
        probabilities = self.predict(step, weak)
        confident = self.confident(step, probabilities)
        logits = step.model(strong)
        loss = functional.cross_entropy(logits, probabilities.argmax(-1), reduction="none") * confident
        metrics = {"pseudo_label_rate": confident.mean()}
        if self.fairness and self.threshold_rule == "freematch":
            state = SelfAdaptiveState.updated(step, probabilities, self.threshold_decay)
            term = fairness_term(logits, confident, state.probabilities, state.histogram, step.group)
            loss = loss + self.fairness * term  # one value, shared by all frames
            metrics["fairness"] = term.detach()
        return AlgorithmLoss.from_samples(loss, metrics)


def fairness_term(
    logits: Tensor, confident: Tensor, expected: Tensor, histogram: Tensor, group: ProcessGroup
) -> Tensor:
    """Return FreeMatch's self-adaptive fairness term, a scalar with gradient through `logits`.

    Args:
        logits: Of the strong views, `(u, classes)`.
        confident: 1 for frames that pass the threshold and 0 for others, `(u,)`.
        expected: Running mean of the predictions on weak views, `(classes,)`.
        histogram: Running mean of the shares of their predicted classes, `(classes,)`.
        group: The processes that hold the other frames of the batch.

    Examples:
        >>> uniform = torch.tensor([0.5, 0.5])
        >>> fairness_term(torch.zeros(2, 2), torch.ones(2), uniform, uniform, ProcessGroup()).isfinite()
        tensor(True)
    """
    probabilities = logits.softmax(-1)
    predicted = torch.zeros_like(probabilities).scatter_(-1, logits.detach().argmax(-1, keepdim=True), 1)
    count = group.sum(confident.sum())
    mean = _sum_over_processes((probabilities * confident[:, None]).sum(0), group) / count.clamp_min(1)
    shares = group.sum((predicted * confident[:, None]).sum(0)) / count.clamp_min(1)
    target = _divided(expected.to(mean.dtype), histogram.to(mean.dtype))
    term = (target * (_divided(mean, shares) + _LOG_EPSILON).log()).sum()
    return torch.where(count > 0, term, 0 * mean.sum())


def _divided(distribution: Tensor, histogram: Tensor) -> Tensor:
    """Return a distribution divided by a histogram, scaled to sum 1; 0 where the histogram is 0."""
    seen = histogram > 0
    ratio = torch.where(seen, distribution / torch.where(seen, histogram, 1), 0)
    return ratio / ratio.sum().clamp_min(_LOG_EPSILON)


def _sum_over_processes(value: Tensor, group: ProcessGroup) -> Tensor:
    """Return the sum over the processes; its gradient, averaged over them, is that of the whole batch."""
    if group.size == 1:
        return value
    return group.sum(value) + group.size * (value - value.detach())
