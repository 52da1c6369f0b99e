"""Frames at hand: uint8 on the device when they fit, read through the memory map when not."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heart2heart.frames.store import Frames

CHUNK = 16_384
"""Frames read at a time while a pool is put on the device."""


class Pool:
    """Some rows of the stores, gathered batch by batch.

    Args:
        frames: The stores.
        rows: int64 `(n,)`, the pool's rows.
        device: Where batches are wanted.
        placement: `device`, `memory_map`, or `auto`: on an accelerator if they fill at most half of its free memory. On
            the CPU `auto` is the memory map, which the page cache keeps at hand anyway.
    """

    def __init__(
        self,
        frames: Frames,
        rows: npt.NDArray[np.int64],
        device: torch.device,
        placement: Literal["auto", "device", "memory_map"] = "auto",
    ) -> None:
        self.frames, self.rows, self.device = frames, rows, device
        size = frames.geometry.size
        resident = placement == "device" or (placement == "auto" and _fits(len(rows) * size * size, device))
        self.pixels: Tensor | None = None
        if resident:
            self.pixels = torch.empty(len(rows), size, size, dtype=torch.uint8, device=device)
            for start in range(0, len(rows), CHUNK):
                part = slice(start, start + CHUNK)
                self.pixels[part] = torch.from_numpy(frames.read(rows[part])).to(device)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.rows)

    @property
    def index_device(self) -> torch.device:
        """Where `take` wants its indices."""
        return torch.device("cpu") if self.pixels is None else self.device

    def take(self, index: Tensor) -> Tensor:
        """Return uint8 `(n, size, size)` on the device for int64 `(n,)` places in the pool."""
        if self.pixels is not None:
            return self.pixels[index]
        return send(torch.from_numpy(self.frames.read(self.rows[index.numpy()])), self.device)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to the device without making the host wait for it."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _fits(count: int, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return count <= free // 2
