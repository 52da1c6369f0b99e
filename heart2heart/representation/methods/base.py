"""The base class of pretraining methods, and the data of one step.

A method names the heads that it puts on the encoder, and returns a loss of two views of the same frames or clips. It
owns no data, optimiser or network. What it keeps from step to step are tensors (`Memory`), saved with the run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from heart2heart.config import Config

Memory = dict[str, Tensor]


@dataclass(frozen=True)
class PairLoss:
    """The loss of a batch of pairs.

    Attributes:
        value: Scalar with its graph.
        metrics: Scalars without gradient; their names are columns of `metrics.jsonl`.
    """

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class PairStep:
    """The data of one step.

    Attributes:
        views: Two views of the same frames, or of two frames of the same clips, each `(n, 1, size, size)`.
        project: The encoder in training, then the projector: frames to `(n, output)`, with gradient.
        predict: The predictor, from projections to projections; the identity where the method has none.
        target: The averaged encoder and projector: frames to `(n, output)`, without gradient; normalised by the
            statistics of the batch that it is given.
        memory: The method's own tensors, changed in place after the step.
        generator: Random stream, on the device.
        step: Number of the step, from 0.
        steps: Length of the run.
    """

    views: tuple[Tensor, Tensor]
    project: Callable[[Tensor], Tensor]
    predict: Callable[[Tensor], Tensor]
    target: Callable[[Tensor], Tensor]
    memory: Memory
    generator: torch.Generator
    step: int
    steps: int
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    def on_step_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the update of the weights; changes to the memory belong there."""
        self.callbacks.append(callback)


class PretrainMethod(Config):
    """A pretraining method; its fields are its settings, which a configuration gives under `method.params`."""

    title: ClassVar[str]
    """Name in reports and error messages."""

    @abstractmethod
    def projector(self, features: int) -> nn.Module:
        """Return the head from features `(n, features)` to projections `(n, output)`."""

    def predictor(self) -> nn.Module | None:
        """Return the head from projections to projections; None: there is none."""
        return None

    def target_momentum(self, step: int, steps: int) -> float | None:
        """Return the share of the average that stays at a step, from 0; None: no averaged network is kept."""
        return None

    def initial_memory(self, generator: torch.Generator) -> Memory:
        """Return the tensors that the method keeps between steps, as they are before the first step, on the CPU."""
        return {}

    @abstractmethod
    def loss(self, step: PairStep) -> PairLoss:
        """Return the loss of a batch of pairs."""


def mlp(sizes: tuple[int, ...], *, norm: bool, norm_last: bool = False) -> nn.Sequential:
    """Return linear layers with ReLU between them.

    Args:
        sizes: Inputs of the first layer, then the outputs of each.
        norm: Normalise the batch before each ReLU.
        norm_last: Normalise the batch after the last layer, without weights.

    Examples:
        >>> [type(layer).__name__ for layer in mlp((4, 8, 2), norm=True)]
        ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        is_last = index == len(sizes) - 2
        layers.append(nn.Linear(inputs, outputs, bias=is_last or not norm))
        if not is_last:
            layers += [nn.BatchNorm1d(outputs), nn.ReLU()] if norm else [nn.ReLU()]
    if norm_last:
        layers.append(nn.BatchNorm1d(sizes[-1], affine=False))
    return nn.Sequential(*layers)
