"""The geometry of the acoustic policy: one sampling grid for all maps, and where each pixel lies in the scan.

The probe is in the middle of the source frame's upper edge. Scan lines meet at the apex, `apex` sides above it. A
pixel's depth is its distance from the apex less that height, in sides: 0 at the probe. Its slope is the tangent of the
angle between its scan line and the axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from heart2heart.training.augment.acoustic import AcousticOperation, AcousticPolicy
from heart2heart.training.augment.acoustic_parameters import AcousticParameters

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
