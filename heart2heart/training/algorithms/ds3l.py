"""DS3L: a small network weights unlabeled frames so that learning from them lowers the labeled loss.

Guo, Zhang, Jiang, Li and Zhou, ICML 2020, "Safe deep semi-supervised learning for unseen-class unlabeled data". The
inner problem is one step of the network down the labeled loss plus the weighted unlabeled loss, the outer one the
labeled loss after that step. The derivative of the outer loss by the weight of frame i is

    -lr * lambda / u * <gradient of the labeled loss after the step, gradient of frame i's loss before it>,

and one forward-mode pass gives all u products, where the authors differentiate through the step. The weighted losses
are divided by the sum of the weights as in the authors' code, so that a weight is relative to those of other frames
(the weighted mean is then subtracted from each product). `normalised: false` divides by the number of frames; all
weights may then become 0. Departure: the unlabeled loss compares two weak views.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.func import jvp
from torch.nn import functional

from heart2heart.training.algorithms.base import (
    Algorithm,
    AlgorithmLoss,
    Memory,
    NetworkFunction,
    StepContext,
    ViewName,
)
from heart2heart.training.algorithms.pi_model import consistency_loss
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.optimiser import gradient_by_name, virtual_step

_LAYERS = ("hidden.weight", "hidden.bias", "last.weight", "last.bias")
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class DS3L(Algorithm):
    """Consistency of two views, weighted by a small network of the prediction that is trained at the same time.

    A step costs about three times the Pi-model's.
    """

    title: ClassVar[str] = "DS3L"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")

    hidden: int = Field(100, ge=1)
    """Hidden units of the weighting network."""
    lr: float = Field(3e-4, gt=0)
    """Its learning rate (Adam)."""
    normalised: bool = True
    """Divide the weighted losses by the sum of the weights; otherwise by the number of frames."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the weights of the weighting network, with its optimiser's state."""
        drawn = torch.Generator().manual_seed(0)

        def uniform(*shape: int, fan_in: int) -> Tensor:
            return (2 * torch.rand(shape, generator=drawn) - 1) / math.sqrt(fan_in)

        layers = (
            uniform(self.hidden, classes, fan_in=classes),
            uniform(self.hidden, fan_in=classes),
            uniform(1, self.hidden, fan_in=self.hidden),
            uniform(1, fan_in=self.hidden),
        )
        memory: Memory = {"updates": torch.zeros(())}
        for name, layer in zip(_LAYERS, layers, strict=True):
            memory |= {name: layer, f"mean.{name}": layer * 0, f"square.{name}": layer * 0}
        return memory

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Train the weighting network by the effect of each frame on the labeled loss after a virtual step."""
        access, memory = step.model_access, step.memory
        present, functional_model = access.weights, access.functional
        network = functional_model(present)
        target = _target(network, step)
        per_frame = consistency_loss(network(step.unlabeled[1]), target)
        layers = {name: memory[name].clone().requires_grad_() for name in _LAYERS}
        weights = _weighting_network(target, layers)
        factors = self._loss_factors(weights.detach(), step.group).to(per_frame.dtype)
        inner = step.criterion(network(step.labeled), step.targets) + step.weight * (factors * per_frame).mean()
        ahead = virtual_step(inner, present, step.lr, step.group)
        outer_loss = step.criterion(functional_model(ahead)(step.labeled), step.targets)
        outer = gradient_by_name(outer_loss, ahead, step.group)

        def losses(weights: dict[str, Tensor]) -> Tensor:
            return consistency_loss(functional_model(weights)(step.unlabeled[1]), target)

        before = {name: value.detach() for name, value in present.items()}
        with access.full_precision():
            products = jvp(losses, (before,), (outer,))[1].detach()
        if self.normalised:
            total = step.group.mean(weights.detach().mean())
            products = (products - step.group.mean((factors * products).mean())) / total
        by_weight = -step.lr * step.weight / len(products) * products
        gradients = torch.autograd.grad(weights, list(layers.values()), by_weight.to(weights.dtype))
        averaged = {name: step.group.mean(gradient) for name, gradient in zip(layers, gradients, strict=True)}
        self._adam_step(memory, averaged)
        return step

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted consistency of two views, averaged over the whole batch."""
        target = _target(step.model, step)
        loss = consistency_loss(step.model(step.unlabeled[1]), target)
        with torch.no_grad():
            weights = frame_weights(step.memory, target).to(loss.dtype)
        loss = self._loss_factors(weights, step.group) * loss
        return AlgorithmLoss.from_samples(loss, {"frame_weight": weights.mean()})

    def _loss_factors(self, weights: Tensor, group: ProcessGroup) -> Tensor:
        """Return the factors of the frames' losses, `(u,)`, of which the mean is taken."""
        return weights / group.mean(weights.mean()) if self.normalised else weights

    @torch.no_grad()
    def _adam_step(self, memory: Memory, gradients: Mapping[str, Tensor]) -> None:
        memory["updates"] += 1
        for name, gradient in gradients.items():
            mean, square = memory[f"mean.{name}"], memory[f"square.{name}"]
            mean.lerp_(gradient, 1 - _BETAS[0])
            square.lerp_(gradient.square(), 1 - _BETAS[1])
            unbiased_mean = mean / (1 - _BETAS[0] ** memory["updates"])
            unbiased_square = square / (1 - _BETAS[1] ** memory["updates"])
            memory[name] -= self.lr * unbiased_mean / (unbiased_square.sqrt() + _EPSILON)


def frame_weights(memory: Memory, probabilities: Tensor) -> Tensor:
    """Return the weight of each frame, 0 to 1, `(u,)`.

    Args:
        memory: The tensors of `DS3L.initial_memory`.
        probabilities: Predicted probabilities of the frames, `(u, classes)`.

    Examples:
        >>> memory = DS3L().initial_memory(10, 4, {})
        >>> frame_weights(memory, torch.full((3, 4), 0.25)).shape
        torch.Size([3])
    """
    return _weighting_network(probabilities, {name: memory[name] for name in _LAYERS})


def _weighting_network(probabilities: Tensor, layers: Mapping[str, Tensor]) -> Tensor:
    x = probabilities.to(layers["hidden.weight"].dtype)
    hidden = functional.linear(x, layers["hidden.weight"], layers["hidden.bias"]).relu()
    return functional.linear(hidden, layers["last.weight"], layers["last.bias"])[:, 0].sigmoid()


def _target(network: NetworkFunction, step: StepContext) -> Tensor:
    """Return the probabilities on the first view, `(u, classes)`, without gradient: the target of the second view."""
    with torch.no_grad():
        return network(step.unlabeled[0]).softmax(-1)
