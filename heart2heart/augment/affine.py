"""Composes everything geometric of one view into one affine map per frame.

Maps go from the output pixel to the input pixel (as `grid_sample` and OpenCV's inverse warp want it), in pixels from
the middle of the frame, x to the right and y down.
"""

from __future__ import annotations

import torch
from torch import Tensor

from heart2heart.augment.policy import NAMES, OperationName
from heart2heart.augment.sample import Parameters


def drawn_maps(parameters: Parameters, size: int) -> Tensor:
    """Return the maps of the drawn geometric operations, composed in the order drawn.

    Args:
        parameters: What was drawn.
        size: Side of the frames, pixels.

    Returns:
        float32 `(n, 3, 3)`: output position to position in the cropped frame.
    """
    operations, values = parameters.operations, parameters.values
    whole = torch.eye(3, device=values.device).expand(len(parameters), 3, 3)
    for slot in range(operations.shape[1]):
        operation, value = operations[:, slot], values[:, slot]

        def chosen(name: OperationName, amount: Tensor, operation: Tensor = operation) -> Tensor:
            return torch.where(operation.eq(NAMES.index(name)), amount, 0.0)

        angle = chosen("rotate", torch.deg2rad(value))
        shear_x, shear_y = chosen("shear_x", value), chosen("shear_y", value)
        move_x, move_y = chosen("translate_x", value * size), chosen("translate_y", value * size)
        zero, one = torch.zeros_like(value), torch.ones_like(value)
        rows = (
            torch.stack([angle.cos(), shear_x - angle.sin(), move_x], -1),
            torch.stack([shear_y + angle.sin(), angle.cos(), move_y], -1),
            torch.stack([zero, zero, one], -1),
        )
        # The first operation drawn acts on the frame first, so its map (output to input) comes last.
        whole = whole @ torch.stack(rows, -2)
    return whole


def crop_maps(parameters: Parameters) -> Tensor:
    """Return the maps of crop and flip, float32 `(n, 3, 3)`: place in the cropped frame to place in the source."""
    mirror = torch.where(parameters.flip, -1.0, 1.0)
    zero, one = torch.zeros_like(mirror), torch.ones_like(mirror)
    shift_x, shift_y = parameters.shift.unbind(-1)
    rows = (
        torch.stack([mirror, zero, mirror * shift_x], -1),
        torch.stack([zero, one, shift_y], -1),
        torch.stack([zero, zero, one], -1),
    )
    return torch.stack(rows, -2)


def positions(maps: Tensor, size: int) -> Tensor:
    """Apply maps to every output pixel.

    Args:
        maps: float32 `(n, 3, 3)`.
        size: Side of the frames, pixels.

    Returns:
        float32 `(n, size, size, 2)`: x, y from the middle, pixels.
    """
    axis = torch.arange(size, device=maps.device, dtype=maps.dtype) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], -1).reshape(1, -1, 3)
    return (pixels @ maps[:, :2].transpose(1, 2)).reshape(len(maps), size, size, 2)
