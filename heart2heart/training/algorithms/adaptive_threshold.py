"""Thresholds of confidence that adapt to the network: FlexMatch's by class counts, FreeMatch's by mean confidence.

FlexMatch (Zhang et al., NeurIPS 2021, section 3): a class of which few frames of the pool are predicted confidently has
a lower threshold. The count of a class is that of the frames whose last confident prediction it was; frames without a
confident prediction count as one more class in the maximum (threshold warm-up), and x / (2 - x) maps the ratio.

FreeMatch (Wang et al., ICLR 2023, self-adaptive thresholding): the threshold is a running mean of the confidence, times
the running mean of each class's probability over that of the largest. Both begin at 1 / classes.

Both include the present batch, as in the papers. A fixed threshold passes few frames where Fix-A-Step's mixing keeps
the network from becoming confident; these follow the network down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from heart2heart.training.algorithms.base import Memory, StepContext
from heart2heart.training.algorithms.memory import mean_per_frame

ThresholdRule = Literal["fixed", "flexmatch", "freematch"]

_LABEL = "flexmatch.label"
_CONFIDENCE, _PROBABILITIES, _HISTOGRAM = "freematch.confidence", "freematch.probabilities", "freematch.histogram"


def threshold_memory(rule: ThresholdRule, pool: int, classes: int) -> Memory:
    """Return the tensors of a rule as they are before the first step.

    Args:
        rule: Which rule.
        pool: Number of frames in the pool.
        classes: Number of classes.

    Examples:
        >>> threshold_memory("freematch", pool=100, classes=2)["freematch.probabilities"]
        tensor([0.5000, 0.5000])
    """
    if rule == "flexmatch":
        return {_LABEL: torch.full((pool,), -1.0)}
    if rule == "freematch":
        uniform = torch.full((classes,), 1 / classes)
        return {_CONFIDENCE: torch.tensor(1 / classes), _PROBABILITIES: uniform, _HISTOGRAM: uniform.clone()}
    return {}


@torch.no_grad()
def class_thresholds(
    rule: ThresholdRule, step: StepContext, probabilities: Tensor, threshold: float, decay: float
) -> Tensor:
    """Return the threshold of each class, `(classes,)`; the memory is changed at the end of the step.

    Args:
        rule: Which rule.
        step: The present step.
        probabilities: Predictions on weak views `(u, classes)`.
        threshold: The fixed threshold, and FlexMatch's upper limit; `freematch` does not read it.
        decay: Decay of `freematch`'s running means at each step.
    """
    if rule == "flexmatch":
        return _flexmatch(step, probabilities, threshold)
    if rule == "freematch":
        state = SelfAdaptiveState.updated(step, probabilities, decay)
        step.on_step_end(lambda: state.store(step.memory))
        return state.thresholds
    return probabilities.new_full(probabilities.shape[1:], threshold)


def _flexmatch(step: StepContext, probabilities: Tensor, threshold: float) -> Tensor:
    memory, group = step.memory, step.group
    index, all_probabilities = group.all_gather(step.pool_index), group.all_gather(probabilities)
    # A frame that the batch holds twice counts by its mean prediction, so that the order of writing does not matter.
    confidence, label = mean_per_frame(index, all_probabilities).max(-1)
    last = memory[_LABEL].clone()
    last[index] = torch.where(confidence >= threshold, label.to(last.dtype), last[index])

    def remember() -> None:
        memory[_LABEL].copy_(last)

    step.on_step_end(remember)
    names = torch.arange(-1, probabilities.shape[1], device=last.device, dtype=last.dtype)
    counts = (last[:, None] == names).sum(0)
    return flexmatch_thresholds(counts[1:], len(last), threshold).to(probabilities.dtype)


def flexmatch_thresholds(counts: Tensor, pool: int, threshold: float) -> Tensor:
    """Return FlexMatch's threshold of each class, `(classes,)`.

    Args:
        counts: Frames of the pool whose last confident prediction is each class, `(classes,)`.
        pool: Number of frames in the pool.
        threshold: Upper limit.

    Examples:
        >>> flexmatch_thresholds(torch.tensor([60, 30]), pool=100, threshold=0.9)
        tensor([0.9000, 0.3000])
    """
    ratio = counts / torch.maximum(counts.max(), pool - counts.sum()).clamp_min(1)
    return threshold * ratio / (2 - ratio)


@dataclass(frozen=True)
class SelfAdaptiveState:
    """FreeMatch's running means.

    Attributes:
        confidence: Running mean of the largest probability, a scalar.
        probabilities: Running mean of the probabilities, `(classes,)`.
        histogram: Running mean of the shares of the predicted classes, `(classes,)`.
    """

    confidence: Tensor
    probabilities: Tensor
    histogram: Tensor

    @classmethod
    def updated(cls, step: StepContext, probabilities: Tensor, decay: float) -> SelfAdaptiveState:
        """Return the means of the step's memory, moved towards a batch of probabilities `(u, classes)`."""
        largest, label = probabilities.max(-1)
        hot = torch.zeros_like(probabilities).scatter_(-1, label[:, None], 1)
        batch = (largest.mean(), probabilities.mean(0), hot.mean(0))
        memory = (step.memory[name] for name in (_CONFIDENCE, _PROBABILITIES, _HISTOGRAM))
        moved = [
            decay * old.to(new.dtype) + (1 - decay) * step.group.mean(new)
            for old, new in zip(memory, batch, strict=True)
        ]
        return cls(*moved)

    @property
    def thresholds(self) -> Tensor:
        """Threshold of each class, `(classes,)`.

        Examples:
            >>> state = SelfAdaptiveState(torch.tensor(0.8), torch.tensor([0.6, 0.3]), torch.tensor([0.5, 0.5]))
            >>> state.thresholds
            tensor([0.8000, 0.4000])
        """
        return self.confidence * self.probabilities / self.probabilities.max()

    def store(self, memory: Memory) -> None:
        """Write the means into a memory."""
        memory[_CONFIDENCE].copy_(self.confidence)
        memory[_PROBABILITIES].copy_(self.probabilities)
        memory[_HISTOGRAM].copy_(self.histogram)
