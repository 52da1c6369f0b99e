"""Which frames come next: endless shuffled passes, resumable to the exact frame."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from heart2heart.learn.pool import send


class Sampler:
    """Endless passes over `size` items, each in a new order.

    A batch may run over the end of a pass, or be larger than the set: then items repeat within it.

    Args:
        size: Number of items, at least 1.
        generator: Its own stream of chance.
        device: Where the indices are wanted.
    """

    def __init__(self, size: int, generator: torch.Generator, device: torch.device) -> None:
        assert size > 0
        self.size, self.generator, self.device = size, generator, device
        self.order = torch.empty(0, dtype=torch.int64, device=device)

    def take(self, n: int) -> Tensor:
        """Return the next `n` indices, int64 `(n,)`."""
        while len(self.order) < n:
            # The order is drawn on the CPU: one pass costs little, and is the same whatever the device.
            more = send(torch.randperm(self.size, generator=self.generator), self.device)
            self.order = torch.cat([self.order, more])
        taken, self.order = self.order[:n], self.order[n:]
        return taken

    def state_dict(self) -> dict[str, Any]:
        """Return the rest of the present pass and the state of the stream."""
        return {"order": self.order.cpu(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.order = state["order"].to(self.device)
        self.generator.set_state(state["generator"])
