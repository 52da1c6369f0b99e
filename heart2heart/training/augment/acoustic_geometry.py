"""The geometry of the acoustic policy: one sampling grid for all maps, where a pixel lies in the scan, and the sector.

The probe is in the middle of the source frame's upper edge. Scan lines meet at the apex, `apex` sides above it. A
pixel's depth is its distance from the apex less that height, in sides: 0 at the probe. Its slope is the tangent of the
angle between its scan line and the axis.

The sector of a single frame is the convex hull of what is densely lit, cheaply and on the frame's device.
`heart2heart.store.sector` estimates it from the motion of a clip; a batch holds frames alone, so brightness must do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from heart2heart.training.augment.acoustic import AcousticOperation, AcousticParameters, AcousticPolicy

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


NEED_DEPTH: tuple[AcousticOperation, ...] = ("blur", "attenuation", "time_gain", "shadow", "haze")
"""Operations that depend on the depth."""


@dataclass(frozen=True)
class ScanPositions:
    """Where the pixels of a warped frame lie in the scan.

    Attributes:
        x: Position in the source frame from the middle, pixels to the right, float32 `(n, size, size)`.
        y: The same down.
        depth: Depth, share of the side, at least 0, float32 `(n, size, size)`.
        slope: Tangent of the scan line's angle, float32 `(n, size, size)`.
    """

    x: Tensor
    y: Tensor
    depth: Tensor
    slope: Tensor


def acoustic_maps(parameters: AcousticParameters, size: int) -> Tensor:
    """Return the affine part of the drawn geometry: depth and aspect about the probe, rotation, shift.

    Args:
        parameters: What was drawn.
        size: Side of the frames, pixels.

    Returns:
        float32 `(n, 3, 3)`: output position to position in the cropped frame, pixels from the middle.
    """
    tall = parameters.factor("depth")
    wide = tall * parameters.factor("aspect")
    angle = torch.deg2rad(parameters["rotation"]).double()
    cos, sin = angle.cos().float(), angle.sin().float()
    shift_x, shift_y = parameters["shift_x"] * size, parameters["shift_y"] * size
    zero, one = torch.zeros_like(tall), torch.ones_like(tall)
    probe = (size - 1) / 2
    rows = (
        torch.stack([wide * cos, -wide * sin, wide * shift_x], -1),
        torch.stack([tall * sin, tall * cos, tall * shift_y + (tall - 1) * probe], -1),
        torch.stack([zero, zero, one], -1),
    )
    return torch.stack(rows, -2)


def scan_positions(policy: AcousticPolicy, maps: Tensor, parameters: AcousticParameters, size: int) -> ScanPositions:
    """Apply affine maps and the change of the sector's angle to every output pixel.

    The angle's change keeps the depth of a pixel and multiplies the sine of its scan line's angle.

    Args:
        policy: The policy that `parameters` were drawn from; what none of its operations needs is left 0.
        maps: float32 `(n, 3, 3)`: output position to position in the source frame, pixels from the middle.
        parameters: What was drawn.
        size: Side of the frames, pixels.
    """
    axis = torch.arange(size, device=maps.device, dtype=maps.dtype) - (size - 1) / 2
    height = (parameters["apex"] * size)[:, None, None]
    below_apex = height + (size - 1) / 2
    # Sums of a row and a column, and no matrix product, which differs by processor.
    x = (maps[:, 0, 0, None] * axis)[:, None, :] + (maps[:, 0, 1, None] * axis + maps[:, 0, 2, None])[:, :, None]
    y = (maps[:, 1, 0, None] * axis)[:, None, :] + (maps[:, 1, 1, None] * axis + maps[:, 1, 2, None])[:, :, None]
    depth = slope = torch.zeros((), device=maps.device).expand_as(x)
    if policy.draws_any("sector_angle", *NEED_DEPTH):
        y += below_apex
        square_x, square_y = x.square(), y.square()
        if policy.draws_any(*NEED_DEPTH):
            depth = (square_x + square_y).sqrt_().sub_(height).mul_(1 / size).clamp_min_(0)
        if policy.draws_any("sector_angle"):
            sine = parameters.factor("sector_angle")[:, None, None]
            y = square_y.addcmul_(square_x, 1 - sine.square()).clamp_min_(0).sqrt_().copysign_(y)
            x *= sine
        if policy.draws_any("shadow"):
            slope = x / y.clamp_min(1)
        y -= below_apex
    return ScanPositions(x, y, depth, slope)
