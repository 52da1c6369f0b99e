"""Chooses the weights that are shipped: scores, the best weights so far, and the mean of the last ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class ValidationScore:
    """How weights do on the source validation frames.

    Attributes:
        balanced_accuracy: Mean recall over the classes, on the frames as they are, 0 to 1.
        loss: Mean cross-entropy over the classes, on the frames as they are.
        perturbed: Mean of the balanced accuracy over the frames as they are and each perturbation, 0 to 1; None where
            none is scored.
        perturbed_loss: The same mean of the loss.
    """

    balanced_accuracy: float
    loss: float
    perturbed: float | None = None
    perturbed_loss: float | None = None

    @property
    def key(self) -> tuple[float, float]:
        """What candidates are compared by: the score, then the negative loss."""
        if self.perturbed is None or self.perturbed_loss is None:
            return self.balanced_accuracy, -self.loss
        return self.perturbed, -self.perturbed_loss

    def columns(self, of: str) -> dict[str, float]:
        """Return the columns of `metrics.jsonl`; their names begin with `of`, `validation` or `average`."""
        row = {f"{of}_balanced_accuracy": self.balanced_accuracy, f"{of}_loss": self.loss}
        if self.perturbed is not None and self.perturbed_loss is not None:
            row |= {f"{of}_perturbed_accuracy": self.perturbed, f"{of}_perturbed_loss": self.perturbed_loss}
        return row


@dataclass
class BestWeights:
    """The best weights so far, kept on the CPU and in every checkpoint, so that a resumed run selects the same.

    Attributes:
        step: Step of these weights.
        score: Their balanced accuracy, 0 to 1; over all perturbations where selection is `perturbed`.
        weights: By name; None before the first validation.
        stale: Number of validations since the score last rose.
        loss: Their loss, which decides between equal scores; infinite in a checkpoint of an older version.
        averaged: Number of validated weights that these are the mean of; 1 for the averaged weights of one step.
    """

    step: int = 0
    score: float = -1.0
    weights: Weights | None = None
    stale: int = 0
    loss: float = float("inf")
    averaged: int = 1

    def update(
        self, step: int, score: ValidationScore, network: nn.Module, *, averaged: int = 1, always: bool = False
    ) -> None:
        """Keep the weights if they are better: a higher score, then a lower loss, then the later step.

        Args:
            step: Step of the weights.
            score: How they do.
            network: The network that holds them.
            averaged: Number of validated weights that they are the mean of.
            always: Keep them whatever their score.
        """
        value, negative_loss = score.key
        self.stale = 0 if value > self.score else self.stale + 1
        if always or (value, negative_loss) >= (self.score, -self.loss):
            self.weights = copy_weights(network)
            self.step, self.score, self.loss, self.averaged = step, value, -negative_loss, averaged


@dataclass
class WeightAverage:
    """The uniform mean of the last validated weights, kept on the CPU and in every checkpoint.

    Attributes:
        count: Number of weights in the mean.
        weights: The mean by name; whole numbers are those of the last weights. None before the first.
    """

    count: int = 0
    weights: Weights | None = None

    def add(self, network: nn.Module) -> None:
        """Add a network's weights."""
        self.count += 1
        newest = copy_weights(network)
        if self.weights is None:
            self.weights = newest
            return
        for name, value in newest.items():
            mean = self.weights[name]
            self.weights[name] = torch.lerp(mean, value, 1 / self.count) if value.is_floating_point() else value


def last_validations(steps: int, every: int, count: int) -> tuple[int, ...]:
    """Return the steps whose weights are averaged: the last `count` validations, and at most half of all.

    Args:
        steps: Length of the run; the last step is always validated.
        every: Steps between validations.
        count: Number of validations.

    Returns:
        Steps in ascending order; none if they are fewer than two.

    Examples:
        >>> last_validations(steps=1000, every=200, count=3)
        (800, 1000)
        >>> last_validations(steps=1100, every=200, count=3)
        (800, 1000, 1100)
    """
    validated = sorted({*range(every, steps + 1, every), steps})
    count = min(count, len(validated) // 2)
    return tuple(validated[-count:]) if count > 1 else ()


def copy_weights(network: nn.Module) -> Weights:
    """Return copies of a network's weights and buffers by name, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
