"""DS3L: a small function weights unlabeled frames so that learning from them lowers the labeled loss.

Guo, Zhang, Jiang, Li and Zhou, ICML 2020, "Safe deep semi-supervised learning for unseen-class unlabeled data". The
inner problem is one step of the network down the labeled loss plus the weighted unlabeled loss, the outer one the
labeled loss after that step. The derivative of the outer loss by the weight of frame i is

    -lr * lambda / u * <gradient of the labeled loss after the step, gradient of frame i's loss before it>,

and one forward-mode pass gives all u products, where the authors differentiate through the step. The weighted losses
are divided by the sum of the weights as in the authors' code, so that a weight says what a frame counts beside the
others (each product then loses their weighted mean); `normalised: false` divides by the number of frames, and all
weights may vanish. Departure: the unlabeled loss compares two weak views.
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
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.optimiser import gradient_by_name, virtual_step

_LAYERS = ("hidden.weight", "hidden.bias", "last.weight", "last.bias")
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class DS3L(Algorithm):
    """Consistency of two views, weighted by a function of the network's guess that is learned along the way.

    A step costs about three times the Pi-model's.
    """

    title: ClassVar[str] = "DS3L"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")

    hidden: int = Field(100, ge=1)
    """Hidden units of the weighting function."""
    lr: float = Field(3e-4, gt=0)
    """Its learning rate (Adam)."""
    normalised: bool = True
    """Divide the weighted losses by the sum of the weights; otherwise by the number of frames."""

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the weighting function with its optimiser's state."""
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
        """Improve the weighting function: look one step of the network ahead, and ask what each frame did."""
        networks, memory = step.model_access, step.memory
        present, ask = networks.weights, networks.functional
        network = ask(present)
        guess = _target(network, step)
        each = _differences(network, step, guess)
        layers = {name: memory[name].clone().requires_grad_() for name in _LAYERS}
        weights = _weighting_function(guess, layers)
        shares = self._shares(weights.detach(), step.group).to(each.dtype)
        inner = step.criterion(network(step.labeled), step.targets) + step.weight * (shares * each).mean()
        ahead = virtual_step(inner, present, step.lr, step.group)
        outer = gradient_by_name(step.criterion(ask(ahead)(step.labeled), step.targets), ahead, step.group)

        def losses(weights: dict[str, Tensor]) -> Tensor:
            return _differences(ask(weights), step, guess)

        before = {name: value.detach() for name, value in present.items()}
        with networks.full_precision():
            products = jvp(losses, (before,), (outer,))[1].detach()
        if self.normalised:
            total = step.group.mean(weights.detach().mean())
            products = (products - step.group.mean((shares * products).mean())) / total
        by_weight = -step.lr * step.weight / len(products) * products
        slopes = torch.autograd.grad(weights, list(layers.values()), by_weight.to(weights.dtype))
        self._improve(memory, {name: step.group.mean(slope) for name, slope in zip(layers, slopes, strict=True)})
        return step

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the weighted consistency of two views, averaged over the whole batch."""
        guess = _target(step.model, step)
        each = _differences(step.model, step, guess)
        with torch.no_grad():
            weights = frame_weights(step.memory, guess).to(each.dtype)
        each = self._shares(weights, step.group) * each
        return AlgorithmLoss(each.mean(), {"frame_weight": weights.mean()}, each)

    def _shares(self, weights: Tensor, world: ProcessGroup) -> Tensor:
        """Return what the frames' losses are multiplied by before they are averaged."""
        return weights / world.mean(weights.mean()) if self.normalised else weights

    @torch.no_grad()
    def _improve(self, memory: Memory, slopes: Mapping[str, Tensor]) -> None:
        memory["updates"] += 1
        for name, slope in slopes.items():
            mean, square = memory[f"mean.{name}"], memory[f"square.{name}"]
            mean.lerp_(slope, 1 - _BETAS[0])
            square.lerp_(slope.square(), 1 - _BETAS[1])
            unbiased_mean = mean / (1 - _BETAS[0] ** memory["updates"])
            unbiased_square = square / (1 - _BETAS[1] ** memory["updates"])
            memory[name] -= self.lr * unbiased_mean / (unbiased_square.sqrt() + _EPSILON)


def frame_weights(memory: Memory, guess: Tensor) -> Tensor:
    """Return the weights in 0 to 1, `(u,)`, of frames that the network guesses to be `guess`, `(u, classes)`."""
    return _weighting_function(guess, {name: memory[name] for name in _LAYERS})


def _weighting_function(guess: Tensor, layers: Mapping[str, Tensor]) -> Tensor:
    guess = guess.to(layers["hidden.weight"].dtype)
    hidden = functional.linear(guess, layers["hidden.weight"], layers["hidden.bias"]).relu()
    return functional.linear(hidden, layers["last.weight"], layers["last.bias"])[:, 0].sigmoid()


def _target(network: NetworkFunction, step: StepContext) -> Tensor:
    """Return what the second view shall agree with: probabilities `(u, classes)`, held fixed."""
    with torch.no_grad():
        return network(step.unlabeled[0]).softmax(-1)


def _differences(network: NetworkFunction, step: StepContext, guess: Tensor) -> Tensor:
    """Return each frame's squared difference of the second view from `guess`, averaged over classes."""
    return (network(step.unlabeled[1]).softmax(-1) - guess).square().mean(-1)
