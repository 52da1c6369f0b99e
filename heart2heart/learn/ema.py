"""The exponential moving average of the weights: what is validated, selected and shipped."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn


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
        """Take in the network's present weights."""
        torch._foreach_lerp_(self._averages, self._parameters, 1 - self.decay)
        if self._buffers:
            torch._foreach_copy_(self._copies, self._buffers)

    def state_dict(self) -> dict[str, Any]:
        """Return the averaged weights."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take averaged weights back."""
        self.network.load_state_dict(state)
