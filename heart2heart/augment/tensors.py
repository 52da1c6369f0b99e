"""The batched driver: a whole batch on its device, parameters per frame, one composed affine and ONE `grid_sample`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from heart2heart.augment.affine import crop_maps, drawn_maps, positions
from heart2heart.augment.policy import GEOMETRIC, NAMES, TONE, Policy
from heart2heart.augment.sample import Parameters, cutout_side
from heart2heart.augment.tone import curves, histogram

GREY = 127.0
"""Level of the cut-out square."""


def normalise(levels: Tensor) -> Tensor:
    """Turn grey levels 0..255 into what networks take: float32 from -1 to 1."""
    return levels.float() / 127.5 - 1


def apply(policy: Policy, pixels: Tensor, parameters: Parameters) -> Tensor:
    """Augment a batch.

    Args:
        policy: The policy that `parameters` were drawn from.
        pixels: uint8 `(n, size, size)`.
        parameters: What was drawn, on the same device.

    Returns:
        float32 `(n, size, size)`, grey levels 0 to 255.
    """
    levels = _warp(policy, pixels.float(), parameters)
    if policy.draws_any(frozenset({"sharpness"})):
        levels = _sharpen(levels, parameters)
    if policy.draws_any(TONE):
        index = levels.round().long().flatten(1)
        curve = curves(histogram(index), parameters.operations, parameters.values)
        levels = curve.gather(1, index).view_as(levels)
    return _cut(policy, levels, parameters) if policy.cutout else levels


def _warp(policy: Policy, levels: Tensor, parameters: Parameters) -> Tensor:
    size = levels.shape[-1]
    half = (size - 1) / 2
    maps = crop_maps(parameters)
    inside = None
    if policy.draws_any(GEOMETRIC):
        drawn = drawn_maps(parameters, size)
        inside = (positions(drawn, size).abs() <= size / 2).all(-1)
        maps = maps @ drawn
    # Reflection about the centres of the border pixels is what reflect-padding does; what a drawn operation pulls in
    # from outside the cropped frame is black.
    grid = positions(maps, size) / half
    warped = functional.grid_sample(
        levels[:, None], grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )[:, 0]
    return warped if inside is None else warped * inside


def _sharpen(levels: Tensor, parameters: Parameters) -> Tensor:
    """Blend with the smoothed frame (3 x 3, weights 1 around 5): factor 0 is smooth, 1 is unchanged."""
    kernel = torch.full((3, 3), 1 / 13, device=levels.device)
    kernel[1, 1] = 5 / 13
    for slot in range(parameters.operations.shape[1]):
        mine = parameters.operations[:, slot] == NAMES.index("sharpness")
        factor = torch.where(mine, parameters.values[:, slot], 1.0)[:, None, None]
        smooth = functional.conv2d(functional.pad(levels[:, None], (1, 1, 1, 1), mode="reflect"), kernel[None, None])[
            :, 0
        ]
        levels = smooth + factor * (levels - smooth)
    return levels.clamp(0, 255)


def _cut(policy: Policy, levels: Tensor, parameters: Parameters) -> Tensor:
    size = levels.shape[-1]
    axis = torch.arange(size, device=levels.device)
    start = parameters.cutout[..., None]
    inside = (axis >= start) & (axis < start + cutout_side(policy, size))
    return torch.where(inside[:, 1, :, None] & inside[:, 0, None, :], GREY, levels)
