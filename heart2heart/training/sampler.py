"""Samples frames in endless shuffled passes, balanced by hospital or view if asked; a sampler resumes at the exact frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from heart2heart.store.frame_store import Frames
from heart2heart.training.config import Balance
from heart2heart.training.data import RowIndices, TrainData, to_device

_ORDER_CHUNK = 4096  # items that a balanced order is drawn for at a time


class FrameSampler:
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
            self.order = torch.cat([self.order, to_device(self._next_order(), self.device)])
        taken, self.order = self.order[:n], self.order[n:]
        return taken

    def _next_order(self) -> Tensor:
        """Draw what follows the present order, int64 on the CPU."""
        return torch.randperm(self.size, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Return the rest of the present pass and the state of the stream."""
        return {"order": self.order.cpu(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.order = state["order"].to(self.device)
        self.generator.set_state(state["generator"])


class BalancedFrameSampler(FrameSampler):
    """Endless rounds over the groups of items, each round one item of every group, in a new order.

    Within a group the items come in endless shuffled passes, so a small group repeats and a large one does not. With G
    groups, of any n items in a row each group has n / G, give or take 2.

    Args:
        groups: Group of each item `(size,)`, 0 to the number of groups less one, each with an item.
        generator: Its own stream of chance.
        device: Where the indices are wanted.
    """

    def __init__(self, groups: npt.NDArray[np.int64], generator: torch.Generator, device: torch.device) -> None:
        super().__init__(len(groups), generator, device)
        cpu = torch.device("cpu")
        self.members = [torch.from_numpy(np.flatnonzero(groups == group)) for group in range(int(groups.max()) + 1)]
        self.passes = [FrameSampler(len(members), generator, cpu) for members in self.members]

    def _next_order(self) -> Tensor:
        rounds = -(-_ORDER_CHUNK // len(self.members))
        taken = [members[each.take(rounds)] for members, each in zip(self.members, self.passes, strict=True)]
        shuffled = torch.rand(rounds, len(taken), generator=self.generator).argsort(dim=1, stable=True)
        return torch.stack(taken, dim=1).gather(1, shuffled).flatten()

    def state_dict(self) -> dict[str, Any]:
        """Return the rest of the present order, of each group's pass, and the state of the stream."""
        return super().state_dict() | {"passes": [each.order for each in self.passes]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        super().load_state_dict(state)
        for each, order in zip(self.passes, state["passes"], strict=True):
            each.order = order


def balance_groups(frames: Frames, rows: RowIndices, by: Balance, targets: RowIndices | None = None) -> RowIndices:
    """Return the group of each frame.

    Args:
        frames: The stores, which know the hospital of each frame.
        rows: int64 `(n,)`, rows of the frames.
        by: What the batches are balanced by.
        targets: int64 `(n,)`, class indices; needed where the view counts.

    Returns:
        int64 `(n,)`, 0 to the number of groups less one, each with a frame; all 0 for `none`.
    """
    keys = np.zeros((len(rows), 2), np.int64)
    if by in ("site", "site_and_view"):
        table = frames.frames
        sites = table["site"].take(pc.index_in(pa.array(rows), table["row"]))
        names = pa.array(sorted(pc.unique(sites).to_pylist()), pa.string())
        keys[:, 0] = pc.index_in(sites, names).to_numpy()
    if by in ("view", "site_and_view"):
        assert targets is not None, "an unlabeled frame has no view"
        keys[:, 1] = targets
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def sampling_rates(data: TrainData, by: Balance) -> npt.NDArray[np.float64]:
    """Return how often each labeled frame is drawn, float64 `(n,)` of mean 1; all 1 for `none`."""
    group = balance_groups(data.frames, data.train.rows, by, data.train.targets)
    sizes = np.bincount(group)
    drawn: npt.NDArray[np.float64] = len(group) / (len(sizes) * sizes[group])
    return drawn
