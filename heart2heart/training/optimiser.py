"""Flat gradients, the optimiser, the schedules of a run, and the moving average of the weights.

The schedules give the learning rate and the weight of the unlabeled loss at each step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from heart2heart.config import Config
from heart2heart.training.distributed import ProcessGroup
from heart2heart.training.networks.options import in_modules


def flat_gradient(loss: Tensor, parameters: Sequence[Tensor], *, retain_graph: bool = False) -> Tensor:
    """Return the gradient of `loss` over all parameters as one vector; zero for those without effect."""
    gradients = torch.autograd.grad(
        loss, parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )
    flat = parameters[0].new_empty(sum(parameter.numel() for parameter in parameters))
    torch._foreach_copy_(unflatten(flat, parameters), list(gradients))
    return flat


def assign_gradient(parameters: Sequence[nn.Parameter], flat: Tensor) -> None:
    """Set `.grad` of each parameter to its part of `flat`, without a copy."""
    for parameter, view in zip(parameters, unflatten(flat, parameters), strict=True):
        parameter.grad = view


def unflatten(flat: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return a view of `flat` for each parameter, of its shape and memory order: foreach optimisers want them alike."""
    views, start = [], 0
    for parameter in parameters:
        views.append(flat.as_strided(parameter.size(), parameter.stride(), start))
        start += parameter.numel()
    return views


def virtual_step(loss: Tensor, weights: Mapping[str, Tensor], lr: float, group: ProcessGroup) -> dict[str, Tensor]:
    """Return the weights after one plain step down the gradient of `loss`, as new leaves of the graph.

    Args:
        loss: Scalar with its graph; averaged over the processes.
        weights: The leaves that it depends on, by name.
        lr: Step size.
        group: The processes.
    """
    direction = gradient_by_name(loss, weights, group)
    return {name: (value.detach() - lr * direction[name]).requires_grad_() for name, value in weights.items()}


def gradient_by_name(loss: Tensor, weights: Mapping[str, Tensor], group: ProcessGroup) -> dict[str, Tensor]:
    """Return the gradient of `loss` with respect to each of `weights`, averaged over the processes."""
    leaves = list(weights.values())
    return dict(zip(weights, unflatten(group.mean(flat_gradient(loss, leaves)), leaves), strict=True))


class OptimiserConfig(Config):
    """The optimiser."""

    name: Literal["sgd", "adam"] = "sgd"
    """`sgd` (Nesterov) or `adam`."""
    lr: float = Field(0.03, gt=0)
    """Learning rate at the start."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of `sgd`; `adam` does not read it."""
    weight_decay: float = Field(5e-4, ge=0)
    """L2 penalty; biases and norm parameters are always exempt."""


class ScheduleConfig(Config):
    """The learning rate over the run."""

    name: Literal["cosine", "fixed"] = "cosine"
    """`cosine` is lr * cos(7 pi/16 * step/cycle), without warm-up; `fixed` is constant."""
    cycle: int | None = Field(None, ge=1)
    """Steps of the cosine's cycle; null is the run's length. The authors' code always has 1048576."""


class UnlabeledWeightConfig(Config):
    """The weight of the unlabeled loss (lambda_u)."""

    value: float = Field(1.0, ge=0)
    """The weight after the ramp."""
    ramp: int = Field(0, ge=0)
    """Steps over which the weight rises linearly from zero; 0 starts at the full weight."""


LR_FACTOR = "lr_factor"
"""Key of a parameter group: its learning rate, in units of the run's."""


def build_optimiser(
    network: nn.Module, config: OptimiserConfig, *, head: Sequence[str] = (), encoder_lr: float = 1.0
) -> torch.optim.Optimizer:
    """Return the optimiser over all parameters in training; those of one dimension (bias, norm) are not decayed.

    Args:
        network: The network; parameters without gradient are left out.
        config: The configuration.
        head: Names of the modules that are the network's head.
        encoder_lr: Learning rate of all other modules, in units of the head's.
    """
    trained = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = []
    for factor in dict.fromkeys((1.0, encoder_lr)):
        part = [parameter for name, parameter in trained if (1.0 if in_modules(name, head) else encoder_lr) == factor]
        decayed = [parameter for parameter in part if parameter.ndim > 1]
        exempt = [parameter for parameter in part if parameter.ndim <= 1]
        groups.append({"params": decayed, "weight_decay": config.weight_decay, LR_FACTOR: factor})
        groups.append({"params": exempt, "weight_decay": 0.0, LR_FACTOR: factor})
    fused = trained[0][1].device.type == "cuda"  # one kernel for all parameters; on the CPU several are as fast
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=config.lr, fused=fused, foreach=not fused)
    nesterov = config.momentum > 0
    return torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused, foreach=not fused
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of a step: `lr` times the factor of each parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group.get(LR_FACTOR, 1.0)


def learning_rate(schedule: ScheduleConfig, lr: float, step: int, steps: int) -> float:
    """Return the learning rate of `step`, from 0, in a run of `steps`."""
    if schedule.name == "fixed":
        return lr
    return lr * math.cos(7 * math.pi / 16 * step / (schedule.cycle or steps))


def unlabeled_weight(config: UnlabeledWeightConfig, step: int) -> float:
    """Return the weight of the unlabeled loss at `step`, from 0."""
    return config.value * (min(1.0, step / config.ramp) if config.ramp else 1.0)


# Not torch.optim.swa_utils.AveragedModel: it reads its counter from the device at every step, so the host waits,
# and it copies the weights at its first update, so the numbers of a run would change.
class Ema:
    """Average of a network: parameters are averaged, buffers (running statistics) copied.

    Args:
        network: The network in training.
        decay: Weight of the average so far; 0 follows the network.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = deepcopy(network).eval().requires_grad_(False)
        self._averages: list[Tensor] = list(self.network.parameters())
        self._parameters: list[Tensor] = list(network.parameters())
        self._copies, self._buffers = list(self.network.buffers()), list(network.buffers())

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the network's present weights."""
        torch._foreach_lerp_(self._averages, self._parameters, 1 - self.decay)
        if self._buffers:
            torch._foreach_copy_(self._copies, self._buffers)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore averaged weights."""
        self.network.load_state_dict(state)
