"""SoftMatch: every pseudo-label counts, with a weight that falls off below the mean confidence.

Chen, Tao, Fan, Wang, Wang, Schiele, Xie, Raj and Savvides, ICLR 2023, "SoftMatch: Addressing the quantity-quality
trade-off in semi-supervised learning". The weight of a frame is a Gaussian of its confidence, truncated at its mean:
1 from the mean on. Mean and variance are running means over batches, the variance without bias. Uniform alignment
divides the probabilities by their running mean before the confidence is taken; the pseudo-labels stay as predicted.
As in the authors' code the running means include the present batch, begin at 1 / classes and 1, and the deviation is
divided by 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, ViewName
from heart2heart.training.algorithms.weak_to_strong import LabelSource
from heart2heart.training.distributed import ProcessGroup


class SoftMatch(Algorithm):
    """Hard pseudo-labels of all frames, weighted by a truncated Gaussian of their confidence."""

    title: ClassVar[str] = "SoftMatch"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")

    decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the running means at each step, 0.999 in the paper; a short run needs less."""
    deviations: float = Field(2.0, gt=0)
    """The Gaussian's deviation is the measured one divided by this; the authors' code takes 2."""
    labels_from: LabelSource = "network"
    """Who predicts the weak view: the `network` in training as in the paper, or its `average` (EMA)."""
    uniform_alignment: bool = True
    """Divide the probabilities by their running mean before the confidence is taken."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return mean and variance of the confidence, and the mean probabilities `(classes,)`."""
        return {
            "mean": torch.tensor(1 / classes),
            "variance": torch.tensor(1.0),
            "probabilities": torch.full((classes,), 1 / classes),
        }

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted cross-entropy on the strong views, averaged over the whole batch."""
        weak, strong = step.unlabeled
        with torch.no_grad():
            network = step.model_access.ema if self.labels_from == "average" else step.model
            probabilities = network(weak).softmax(-1)
            weight = self.frame_weights(step, probabilities)
        loss = functional.cross_entropy(step.model(strong), probabilities.argmax(-1), reduction="none") * weight
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_weight": weight.mean()})

    @torch.no_grad()
    def frame_weights(self, step: StepContext, probabilities: Tensor) -> Tensor:
        """Return the weight of each frame, `(u,)`; the running means move at the end of the step.

        Args:
            step: The present step.
            probabilities: Predictions on weak views, `(u, classes)`.
        """
        memory, group = step.memory, step.group
        moved = {"probabilities": self._moved(memory["probabilities"], group.mean(probabilities.mean(0)))}
        aligned = probabilities
        if self.uniform_alignment:
            aligned = probabilities / moved["probabilities"]
            aligned = aligned / aligned.sum(-1, keepdim=True)
        confidence = aligned.amax(-1)
        mean, variance = batch_moments(confidence, group)
        moved |= {"mean": self._moved(memory["mean"], mean), "variance": self._moved(memory["variance"], variance)}

        def remember() -> None:
            for name, value in moved.items():
                memory[name].copy_(value)

        step.on_step_end(remember)
        return truncated_gaussian(confidence, moved["mean"], moved["variance"] / self.deviations**2)

    def _moved(self, old: Tensor, new: Tensor) -> Tensor:
        return self.decay * old.to(new.dtype) + (1 - self.decay) * new


def batch_moments(values: Tensor, group: ProcessGroup) -> tuple[Tensor, Tensor]:
    """Return mean and unbiased variance of values `(u,)` over the whole batch, two scalars.

    Examples:
        >>> batch_moments(torch.tensor([0.0, 1.0]), ProcessGroup())
        (tensor(0.5000), tensor(0.5000))
    """
    count = len(values) * group.size
    mean = group.mean(values.mean())
    return mean, group.mean((values - mean).square().mean()) * count / max(count - 1, 1)


def truncated_gaussian(confidence: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return exp(-(confidence - mean)^2 / (2 variance)) below the mean, and 1 from it on.

    Args:
        confidence: `(u,)`.
        mean: Scalar.
        variance: Scalar above 0.

    Examples:
        >>> truncated_gaussian(torch.tensor([0.5, 0.9]), torch.tensor(0.7), torch.tensor(0.02))
        tensor([0.3679, 1.0000])
    """
    below = (confidence - mean).clamp_max(0)
    return (-below.square() / (2 * variance.clamp_min(torch.finfo(variance.dtype).tiny))).exp()
