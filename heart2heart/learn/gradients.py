"""Gradient rules: how the gradients of the labeled and of the unlabeled loss become one direction.

Both come as flat vectors over all parameters, raw: before momentum, preconditioning, weight decay and the weight of the
unlabeled loss. Nothing here makes the host wait for the device. With several processes both vectors are to be averaged
over them first, so that all take the same branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from heart2heart.errors import UnknownNameError

Rule = Callable[[Tensor, Tensor, float], Tensor]
"""From the labeled gradient `(p,)`, the unlabeled gradient `(p,)` and its weight to the direction `(p,)`."""


def flat_gradient(loss: Tensor, parameters: Sequence[nn.Parameter], *, retain_graph: bool = False) -> Tensor:
    """Return the gradient of `loss` over all parameters as one vector; zero where a parameter has no part in it."""
    gradients = torch.autograd.grad(
        loss, parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )
    flat = parameters[0].new_empty(sum(parameter.numel() for parameter in parameters))
    torch._foreach_copy_(_views(flat, parameters), list(gradients))
    return flat


def assign_gradient(parameters: Sequence[nn.Parameter], flat: Tensor) -> None:
    """Make `flat` the `.grad` of the parameters, for the optimiser; nothing is copied."""
    for parameter, view in zip(parameters, _views(flat, parameters), strict=True):
        parameter.grad = view


def _views(flat: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return a view of `flat` for each parameter, of its shape and memory order: foreach optimisers want them alike."""
    views, start = [], 0
    for parameter in parameters:
        views.append(flat.as_strided(parameter.size(), parameter.stride(), start))
        start += parameter.numel()
    return views


def conflict(labeled: Tensor, unlabeled: Tensor) -> Tensor:
    """Return whether the two gradients oppose each other: bool scalar on the device; zero counts as aligned."""
    return torch.dot(labeled, unlabeled) < 0


def summed(labeled: Tensor, unlabeled: Tensor, weight: float) -> Tensor:
    """Return the gradient of the weighted sum of the losses: what every base method does."""
    return labeled + weight * unlabeled


def fix_a_step(labeled: Tensor, unlabeled: Tensor, weight: float) -> Tensor:
    """Drop the unlabeled gradient where it opposes the labeled one (Fix-A-Step, algorithm 1). Nothing is projected."""
    return torch.where(conflict(labeled, unlabeled), labeled, labeled + weight * unlabeled)


RULES: Mapping[str, Rule] = {"sum": summed, "fix_a_step": fix_a_step}
"""Every rule that can be named in a configuration."""


def get_rule(name: str) -> Rule:
    """Return a rule by name, or raise `UnknownNameError` listing all names."""
    if name not in RULES:
        raise UnknownNameError.among("gradient rule", name, list(RULES))
    return RULES[name]
