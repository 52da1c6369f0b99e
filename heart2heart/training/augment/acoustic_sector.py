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
    reach = torch.where(dense.flatten(1)[:, None], _cell_reaches(size, levels.device), -math.inf).amax(2) + 1
    left, right = _row_ends(reach, size)
    axis = torch.arange(size, device=levels.device) - (size - 1) / 2
    return (axis >= left[..., None]).logical_and_(axis <= right[..., None])


def _row_ends(reach: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return where the polygon begins and ends in each row, from the middle, `(n, size)`."""
    across, heights = _side_tables(size, reach.device)
    # Where each side cuts each row; a side towards the right ends the row, one towards the left begins it.
    cuts = (reach[:, :, None] - heights) / across[:, None]
    return (
        cuts.masked_fill(across[:, None] > 0, -math.inf).amax(1),
        cuts.masked_fill(across[:, None] < 0, math.inf).amin(1),
    )


def cell_side(size: int) -> int:
    """Return the side of a cell in pixels."""
    return max(2, -(-size // _CELLS))


def directions() -> list[tuple[float, float]]:
    """Return the normals of the polygon's sides, x to the right and y down."""
    # Half a step from the axes, so that no side runs along a row.
    angles = [2 * math.pi * (index + 0.5) / _DIRECTIONS for index in range(_DIRECTIONS)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


@lru_cache
def _side_tables(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return x of each direction `(directions,)`, and y of it times each row `(directions, size)`."""
    across, down = torch.tensor(directions()).T
    return across.to(device), (down[:, None] * (torch.arange(size) - (size - 1) / 2)).to(device)


@lru_cache
def _cell_reaches(size: int, device: torch.device) -> Tensor:
    """Return how far each cell reaches in each direction, float32 `(directions, cells)`; kept, as sending it waits."""
    cell = cell_side(size)
    middle = (size - 1) / 2
    starts = torch.arange(0, size, cell) - middle
    ends = (starts + cell - 1).clamp_max(middle)
    reaches = []
    for x, y in directions():
        across, down = torch.maximum(x * starts, x * ends), torch.maximum(y * starts, y * ends)
        reaches.append((down[:, None] + across).flatten())
    return torch.stack(reaches).to(device)
