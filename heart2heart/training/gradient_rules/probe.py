"""Rules that judge the unlabeled gradient by labeled frames that are held out of training.

Labeled frames that the network learns from are soon fitted, and their gradient then says little. These rules keep a
share of the labeled training frames of each class out of the labeled loss (`GradientRule.probe_share`) and ask whether
the unlabeled gradient lowers the loss of those: to first order, or by taking a plain step both ways. The look-ahead of
one step is that of one-step bilevel learning (Ren et al., ICML 2018, "Learning to reweight examples for robust deep
learning", section 3.3), with one weight for the whole batch that is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from heart2heart.training.algorithms.base import ModelAccess
from heart2heart.training.losses import CrossEntropy
from heart2heart.training.optimiser import flat_gradient, unflatten


class Probe(Protocol):
    """The loss of held-out labeled frames, as a rule sees it."""

    def gradient_after(self, direction: Tensor) -> Tensor:
        """Return the flat gradient `(p,)` of the loss after a plain step of the learning rate down `direction`."""

    def loss_after(self, direction: Tensor) -> Tensor:
        """Return the loss, a scalar, after a plain step of the learning rate down `direction`, `(p,)`."""


class ProbeLoss:
    """The loss of the held-out labeled frames of one step, at weights a step away (`Probe`).

    Args:
        frames: `(b, channels, size, size)`.
        targets: Probabilities `(b, classes)`.
        criterion: The loss of labeled frames.
        access: The network.
        lr: Present learning rate.
        average: Averages a vector over the processes.
    """

    def __init__(
        self,
        frames: Tensor,
        targets: Tensor,
        criterion: CrossEntropy,
        access: ModelAccess,
        lr: float,
        average: Callable[[Tensor], Tensor],
    ) -> None:
        self.frames, self.targets, self.lr = frames, targets, lr
        self._criterion, self._access, self._average = criterion, access, average

    def gradient_after(self, direction: Tensor) -> Tensor:
        """Return the flat gradient `(p,)` of the loss after a plain step of the learning rate down `direction`."""
        weights = self._stepped(direction)
        with torch.enable_grad():
            leaves = [value.requires_grad_() for value in weights.values()]
            loss = self._loss(weights)
            return self._average(flat_gradient(loss, leaves))

    @torch.no_grad()
    def loss_after(self, direction: Tensor) -> Tensor:
        """Return the loss, a scalar, after a plain step of the learning rate down `direction`, `(p,)`."""
        return self._average(self._loss(self._stepped(direction)))

    def _stepped(self, direction: Tensor) -> dict[str, Tensor]:
        names, present = list(self._access.weights), list(self._access.weights.values())
        moves: Sequence[Tensor] = unflatten(direction, present)
        return {name: value.detach() - self.lr * move for name, value, move in zip(names, present, moves, strict=True)}

    def _loss(self, weights: dict[str, Tensor]) -> Tensor:
        return self._criterion(self._access.functional(weights)(self.frames), self.targets)
