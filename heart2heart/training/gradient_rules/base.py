"""The base class of gradient rules, and the unlabeled loss as a rule sees it.

A rule combines the labeled gradient with that of the unlabeled loss into the gradient of one step. Gradients are flat
vectors over all p parameters, before momentum, preconditioning, weight decay and the weight of the unlabeled loss. No
rule makes the host wait for the device. With several processes every vector is averaged over them first, so that all
processes decide alike.

The rules of multi-task learning are here too: the weighted sum, and gradient surgery (PCGrad; Yu et al., NeurIPS 2020,
algorithm 1).
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
from heart2heart.training.gradient_rules.probe import Probe
from heart2heart.training.optimiser import flat_gradient, unflatten

Memory = dict[str, Tensor]


class UnlabeledGradient(Protocol):
    """The unlabeled loss of one step, with the gradients that a rule may compute."""

    @property
    def per_sample_loss(self) -> Tensor | None:
        """The loss of each frame `(u,)`, with its graph; None if the loss is not a mean over frames."""

    @property
    def sizes(self) -> Sequence[int]:
        """Number of parameters of each tensor of the network, in the order of a flat gradient."""

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        """Return the flat gradient `(p,)` of the unlabeled loss, or of another scalar of its graph; call it once."""

    @property
    def probe(self) -> Probe | None:
        """The loss of the held-out labeled frames; None where the rule holds none out."""

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        """Return the inner product of each frame's gradient with `direction`, `(u,)`, without any backward pass."""

    def per_sample_head_dot(self, direction: Tensor) -> Tensor:
        """Return the same over the parameters of the last layer alone, which needs no pass through the others."""


@dataclass(frozen=True)
class CombinedGradient:
    """The result of a rule.

    Attributes:
        gradient: `(p,)`, the gradient that the optimiser receives.
        conflict: Scalar without gradient: share of the unlabeled gradient's parts that oppose the labeled gradient.
        metrics: Scalars without gradient; their names are columns of `metrics.jsonl`.
    """

    gradient: Tensor
    conflict: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class GradientRule(ABC):
    """A gradient rule; its memory holds tensors, which the training loop saves with the run."""

    title: ClassVar[str]
    """Name in reports and error messages."""
    probe_share: ClassVar[float] = 0.0
    """Share of the labeled training frames of each class that the labeled loss never sees, and the rule judges by."""

    def initial_memory(self, parameters: int) -> Memory:
        """Return the tensors that the rule keeps between steps, as they are before the first step, on the CPU."""
        return {}

    @abstractmethod
    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the gradient of one step.

        Args:
            labeled: Labeled gradient `(p,)`.
            unlabeled: The unlabeled loss, which gives its gradient.
            weight: Present weight of the unlabeled loss.
            memory: The rule's own tensors, changed in place.
        """


def opposed(labeled: Tensor, unlabeled: Tensor) -> Tensor:
    """Return whether two gradients oppose each other: bool scalar on the device; zero counts as aligned."""
    return torch.dot(labeled, unlabeled) < 0


class UnlabeledLossTerm:
    """The unlabeled loss of one step, its gradient, and the derivative of each frame's loss along a direction.

    Args:
        loss: The loss, with its graph.
        method: The algorithm that computed it.
        step: The step that it was computed from.
        parameters: The network's parameters, in order.
        average: Averages a vector over the processes.
        probe: The loss of held-out labeled frames, for rules that need it.
    """

    def __init__(
        self,
        loss: AlgorithmLoss,
        method: Algorithm,
        step: StepContext,
        parameters: Sequence[nn.Parameter],
        average: Callable[[Tensor], Tensor],
        probe: Probe | None = None,
    ) -> None:
        self.probe = probe
        self.loss, self.per_sample_loss = loss, loss.per_sample_loss
        self._method, self._step, self._parameters, self._average = method, step, parameters, average

    @property
    def sizes(self) -> Sequence[int]:
        """Number of parameters of each tensor of the network."""
        return [parameter.numel() for parameter in self._parameters]

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        """Return the flat gradient `(p,)` of the loss, or of another scalar of its graph, over all processes."""
        return self._average(flat_gradient(self.loss.value if loss is None else loss, self._parameters))

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        """Return the inner product of each frame's gradient with `direction`, `(u,)`, by one forward-mode pass.

        The loss is computed again from the same views. Predictions without gradient are taken from the first pass; the
        random stream and the memory are restored.
        """
        step, names = self._step, list(self._step.model_access.weights)
        present = {name: value.detach() for name, value in step.model_access.weights.items()}
        tangents = dict(zip(names, unflatten(direction, self._parameters), strict=True))
        generator_state = step.generator.get_state()

        def per_sample_loss(weights: dict[str, Tensor]) -> Tensor:
            model, outputs = step.model_access.functional(weights), step.model_access.functional_outputs(weights)

            def train(frames: Tensor) -> Tensor:
                cached = None if torch.is_grad_enabled() else step.model_access.cached_logits.get(id(frames))
                return model(frames) if cached is None else cached[1]  # a fixed prediction has no tangent

            access = replace(step.model_access, train=train, no_bn_update=model, outputs=outputs)
            memory = {name: value.clone() for name, value in step.memory.items()}
            loss = self._method.unlabeled_loss(replace(step, model_access=access, memory=memory, callbacks=[]))
            assert loss is not None
            assert loss.per_sample_loss is not None
            return loss.per_sample_loss

        with step.model_access.full_precision():
            change: Tensor = jvp(per_sample_loss, (present,), (tangents,))[1]
        step.generator.set_state(generator_state)
        return change.detach()

    def per_sample_head_dot(self, direction: Tensor) -> Tensor:
        """Return the inner product of each frame's gradient over the last layer with its part of `direction`, `(u,)`.

        The Jacobian of the losses times a vector is the derivative of (weights . gradient . vector) in the weights of
        the frames, so that two backward passes through the last layer suffice.
        """
        loss = self.per_sample_loss
        assert loss is not None
        first = max(index for index, parameter in enumerate(self._parameters) if parameter.ndim > 1)
        head = self._parameters[first:]
        part = direction[-sum(parameter.numel() for parameter in head) :]
        frame_weights = torch.ones_like(loss, requires_grad=True)
        gradients = torch.autograd.grad(
            loss, head, frame_weights, retain_graph=True, create_graph=True, allow_unused=True, materialize_grads=True
        )
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        if not flat.requires_grad:  # no frame has a loss that depends on the last layer
            return torch.zeros_like(loss)
        (change,) = torch.autograd.grad(torch.dot(flat, part), frame_weights, retain_graph=True)
        return change.detach()


class WeightedSum(GradientRule):
    """The gradient of the weighted sum of the losses."""

    title: ClassVar[str] = "sum"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        other = unlabeled.gradient()
        return CombinedGradient(labeled + weight * other, opposed(labeled, other).to(labeled.dtype))


class PCGrad(GradientRule):
    """If the gradients oppose each other, projects each onto the normal plane of the other; then sums them.

    With two tasks the random order of the published algorithm makes no difference. The weight of the unlabeled loss
    scales its gradient, as in a sum of losses.
    """

    title: ClassVar[str] = "PCGrad"

    def combine(self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: Memory) -> CombinedGradient:
        """Return the combined gradient; the conflict is 0 or 1."""
        other = weight * unlabeled.gradient()
        return CombinedGradient(project_conflicting(labeled, other), opposed(labeled, other).to(labeled.dtype))


def project_conflicting(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of two gradients `(p,)`, each without its part along the other if they oppose each other.

    Examples:
        >>> project_conflicting(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0]))
        tensor([0.5000, 1.5000])
    """
    product = torch.dot(first, second)
    smallest = torch.finfo(first.dtype).tiny
    projected_first = first - product / torch.dot(second, second).clamp_min(smallest) * second
    projected_second = second - product / torch.dot(first, first).clamp_min(smallest) * first
    return torch.where(product < 0, projected_first + projected_second, first + second)
