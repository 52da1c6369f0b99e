"""Frames as a map-style dataset: what `torch.utils.data.DataLoader` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class FrameReader(Protocol):
    """Reads frames by row, as a store does."""

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, size, size)` of the given rows, in their order."""


class FrameDataset:
    """Some frames of a store, with a target each.

    It needs no torch: a data loader asks for `len` and items, reads each batch at once by `__getitems__`, and makes
    tensors.

    Args:
        store: Reads the frames.
        rows: int64 `(n,)`, rows of the store.
        targets: int64 `(n,)`, class indices; -1 where there is none.
    """

    def __init__(self, store: FrameReader, rows: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> None:
        self.store, self.rows, self.targets = store, rows, targets

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        """Return uint8 `(size, size)` and the class index of one frame."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[npt.NDArray[np.uint8], int]]:
        """Return several items, read at once."""
        chosen = np.asarray(indices, np.int64)
        return list(zip(self.store.read(self.rows[chosen]), self.targets[chosen].tolist(), strict=True))

    def __repr__(self) -> str:
        """Return the number of frames and of targets."""
        return f"<FrameDataset: {len(self)} frames, {int((self.targets >= 0).sum())} with a target>"
