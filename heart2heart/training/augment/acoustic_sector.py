"""The sector of a single frame, cheaply and on its device: the convex hull of what is densely lit.

`heart2heart.store.sector` estimates it from the motion of a clip; a batch holds frames alone, so brightness must do.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

LIT_LEVEL = 8
"""Levels above it are lit."""
_CELLS = 24  # cells a side at most
_DENSE = 0.4  # share of lit pixels above which a cell belongs to the sector: text and scales are thinner
_DIRECTIONS = 16


def inside_sector(levels: Tensor) -> Tensor:
    """Return the pixels inside the sector, which is grown by a pixel.

    Args:
        levels: float32 `(n, size, size)`, grey levels 0 to 255.

    Returns:
        bool `(n, size, size)`: the smallest polygon with sides in 16 directions around the densely lit cells; nothing
        where no cell is.
    """
    size = levels.shape[-1]
    cell = cell_side(size)
    lit = (levels > LIT_LEVEL).float()
    dense = functional.avg_pool2d(lit[:, None], cell, ceil_mode=True, count_include_pad=False)[:, 0] > _DENSE
    corners, pixels = _projections(size, levels.device)
    reach = torch.where(dense.flatten(1)[:, None], corners, -math.inf).amax(2) + 1
    inside = torch.ones_like(lit, dtype=torch.bool)
    for direction in range(_DIRECTIONS):
        inside &= pixels[direction] <= reach[:, direction, None, None]
    return inside


def cell_side(size: int) -> int:
    """Return the side of a cell in pixels."""
    return max(2, -(-size // _CELLS))


def directions() -> list[tuple[float, float]]:
    """Return the normals of the polygon's sides, x to the right and y down."""
    angles = [2 * math.pi * index / _DIRECTIONS for index in range(_DIRECTIONS)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


@lru_cache
def _projections(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return how far each cell `(directions, cells)` and pixel `(directions, size, size)` reaches in each direction."""
    cell = cell_side(size)
    middle = (size - 1) / 2
    starts = torch.arange(0, size, cell) - middle
    ends = (starts + cell - 1).clamp_max(middle)
    axis = torch.arange(size) - middle
    corners, pixels = [], []
    for x, y in directions():
        across, down = torch.maximum(x * starts, x * ends), torch.maximum(y * starts, y * ends)
        corners.append((down[:, None] + across).flatten())
        pixels.append(y * axis[:, None] + x * axis)
    return torch.stack(corners).to(device), torch.stack(pixels).to(device)
