"""Gradients as flat vectors, raw (before momentum, preconditioning and weight decay), and one virtual step of gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from heart2heart.training.distributed import ProcessGroup


def flat_gradient(loss: Tensor, parameters: Sequence[Tensor], *, retain_graph: bool = False) -> Tensor:
    """Return the gradient of `loss` over all parameters as one vector; zero where a parameter has no part in it."""
    gradients = torch.autograd.grad(
        loss, parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )
    flat = parameters[0].new_empty(sum(parameter.numel() for parameter in parameters))
    torch._foreach_copy_(unflatten(flat, parameters), list(gradients))
    return flat


def assign_gradient(parameters: Sequence[nn.Parameter], flat: Tensor) -> None:
    """Make `flat` the `.grad` of the parameters, for the optimiser; nothing is copied."""
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
        lr: The step's size.
        group: The processes.
    """
    direction = gradient_by_name(loss, weights, group)
    return {name: (value.detach() - lr * direction[name]).requires_grad_() for name, value in weights.items()}


def gradient_by_name(loss: Tensor, weights: Mapping[str, Tensor], group: ProcessGroup) -> dict[str, Tensor]:
    """Return the gradient of `loss` with respect to each of `weights`, averaged over the processes."""
    leaves = list(weights.values())
    return dict(zip(weights, unflatten(group.mean(flat_gradient(loss, leaves)), leaves), strict=True))
