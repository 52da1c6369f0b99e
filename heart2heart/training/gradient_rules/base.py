"""The base class of gradient rules, and the unlabeled loss as a rule sees it.

A rule combines the labeled gradient with that of the unlabeled loss into the gradient of one step. Gradients are raw:
before momentum, preconditioning, weight decay and the weight of the unlabeled loss. No rule makes the host wait for the
device. With several processes every vector is averaged over them first, so that all take the same branch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.func import jvp

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext
from heart2heart.training.optimiser import flat_gradient, unflatten

Memory = dict[str, Tensor]


class UnlabeledGradient(Protocol):
    """The unlabeled loss of one step, as a rule may ask it."""

    @property
    def per_sample_loss(self) -> Tensor | None:
        """The loss of each frame `(u,)`, with its graph; None where the loss is no mean over frames."""

    @property
    def sizes(self) -> Sequence[int]:
        """Parameters in each tensor of the network, in the order of a flat gradient."""

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        """Return the flat gradient `(p,)` of the unlabeled loss, or of another scalar of its graph; asked once."""

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        """Return the inner product of each frame's gradient with `direction`, `(u,)`, without any backward pass."""


@dataclass(frozen=True)
class CombinedGradient:
    """What a rule decided.

    Attributes:
        gradient: `(p,)`, what the optimiser takes for the gradient.
        conflict: Scalar without gradient: the share of the unlabeled gradient's parts that opposed the labeled one.
        metrics: Scalars worth writing down beside it.
    """

    gradient: Tensor
    conflict: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class GradientRule(ABC):
    """A gradient rule. What it must remember lies in tensors that the loop saves with the run."""

    title: ClassVar[str]
    """What a reader calls it."""

    def initial_memory(self, parameters: int) -> Memory:
        """Return what the rule remembers, as it is before the first step, on the CPU."""
        return {}

    @abstractmethod
    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the direction of one step.

        Args:
            labeled: Labeled gradient `(p,)`.
            unlabeled: What gives the unlabeled gradient.
            weight: Present weight of the unlabeled loss.
            memory: The rule's own tensors, changed in place.
        """


def opposed(labeled: Tensor, unlabeled: Tensor) -> Tensor:
    """Return whether two gradients oppose each other: bool scalar on the device; zero counts as aligned."""
    return torch.dot(labeled, unlabeled) < 0


class UnlabeledLossTerm:
    """One step's unlabeled loss with its gradient, and the change of each frame's loss along a direction.

    Args:
        loss: The loss, with its graph.
        method: What computed it.
        step: From what.
        parameters: The network's, in order.
        average: Averages a vector over the processes.
    """

    def __init__(
        self,
        loss: AlgorithmLoss,
        method: Algorithm,
        step: StepContext,
        parameters: Sequence[nn.Parameter],
        average: Callable[[Tensor], Tensor],
    ) -> None:
        self.loss, self.per_sample_loss = loss, loss.per_sample_loss
        self._method, self._step, self._parameters, self._average = method, step, parameters, average

    @property
    def sizes(self) -> Sequence[int]:
        """Parameters in each tensor of the network."""
        return [parameter.numel() for parameter in self._parameters]

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        """Return the flat gradient `(p,)` of the loss, or of another scalar of its graph, over all processes."""
        return self._average(flat_gradient(self.loss.value if loss is None else loss, self._parameters))

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        """Return the inner product of each frame's gradient with `direction`, `(u,)`, by one forward-mode pass.

        The loss is computed again from the same views. Guesses without gradient are taken as they were, and
        what it draws or remembers is put back.
        """
        step, names = self._step, list(self._step.model_access.weights)
        present = {name: value.detach() for name, value in step.model_access.weights.items()}
        tangents = dict(zip(names, unflatten(direction, self._parameters), strict=True))
        chance = step.generator.get_state()

        def each(weights: dict[str, Tensor]) -> Tensor:
            virtual, outputs = step.model_access.functional(weights), step.model_access.functional_outputs(weights)

            def train(frames: Tensor) -> Tensor:
                known = None if torch.is_grad_enabled() else step.model_access.cached_logits.get(id(frames))
                return virtual(frames) if known is None else known[1]  # a guess that is held fixed has no tangent

            networks = replace(step.model_access, train=train, no_bn_update=virtual, outputs=outputs)
            memory = {name: value.clone() for name, value in step.memory.items()}
            loss = self._method.unlabeled_loss(replace(step, model_access=networks, memory=memory, callbacks=[]))
            assert loss is not None
            assert loss.per_sample_loss is not None
            return loss.per_sample_loss

        with step.model_access.full_precision():
            change: Tensor = jvp(each, (present,), (tangents,))[1]
        step.generator.set_state(chance)
        return change.detach()
