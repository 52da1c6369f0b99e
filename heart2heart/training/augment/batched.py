"""The batched driver: augments a whole batch on its device with one `grid_sample` and one look-up of grey levels.

All geometric operations of a frame are composed into one affine map. Maps go from the output pixel to the input pixel
(as `grid_sample` and OpenCV's inverse warp take it), in pixels from the middle of the frame, x to the right and y down.
Operations on grey levels act on a curve of 256 entries a frame, and the frame is read through the curve once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from heart2heart.training.augment.acoustic_batched import acoustic_curve, grain_of, scan, surround
from heart2heart.training.augment.acoustic_geometry import ScanPositions, acoustic_maps, inside_sector, scan_positions
from heart2heart.training.augment.policy import (
    GEOMETRIC_OPERATIONS,
    GREY_LEVEL_OPERATIONS,
    OPERATION_NAMES,
    AugmentationParameters,
    OperationName,
    Policy,
    cutout_side,
)


def operation_maps(parameters: AugmentationParameters, size: int) -> Tensor:
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
            return torch.where(operation.eq(OPERATION_NAMES.index(name)), amount, 0.0)

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


def crop_maps(parameters: AugmentationParameters) -> Tensor:
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


def map_pixels(maps: Tensor, size: int) -> Tensor:
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


def histogram(levels: Tensor) -> Tensor:
    """Count grey levels: int64 `(n, pixels)` in 0..255 to float32 `(n, 256)`."""
    counts = torch.zeros(len(levels), 256, device=levels.device)
    return counts.scatter_add_(1, levels, torch.ones((), device=levels.device).expand_as(levels))


def compose_curves(counts: Tensor, operations: Tensor, values: Tensor, start: Tensor | None = None) -> Tensor:
    """Compose the drawn tone operations.

    Args:
        counts: float32 `(n, 256)`, the histogram of each frame.
        operations: int64 `(n, draws)`, places in `policy.NAMES`; others than tone operations change nothing.
        values: float32 `(n, draws)`.
        start: float32 `(n, 256)`, the curve that comes before them; None is no change.

    Returns:
        float32 `(n, 256)`: the new grey level, a whole number in 0..255, of each old one.
    """
    curve = torch.arange(256.0, device=counts.device).expand_as(counts) if start is None else start
    for slot in range(operations.shape[1]):
        operation, value = operations[:, slot, None], values[:, slot, None]
        changed = curve
        for name, apply in GREY_LEVEL_FUNCTIONS.items():
            changed = torch.where(operation == OPERATION_NAMES.index(name), apply(curve, counts, value), changed)
        curve = changed.round().clamp(0, 255)
    return curve


def _autocontrast(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    low = curve.masked_fill(counts == 0, 256).amin(1, keepdim=True)
    high = curve.masked_fill(counts == 0, -1).amax(1, keepdim=True)
    return torch.where(high > low, (curve - low) * 255 / (high - low), curve)


def _brightness(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    return curve * value


def _contrast(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    mean = (counts * curve).sum(1, keepdim=True) / counts.sum(1, keepdim=True)
    return mean + value * (curve - mean)


def _equalize(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    level = curve.long()
    now = torch.zeros_like(counts).scatter_add_(1, level, counts)
    below = now.cumsum(1)
    first = below.masked_fill(now == 0, float("inf")).amin(1, keepdim=True)
    rest = counts.sum(1, keepdim=True) - first
    return torch.where(rest > 0, ((below - first) * 255 / rest).clamp_min(0).gather(1, level), curve)


def _posterize(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    step = torch.exp2(8 - value.floor())
    return (curve / step).floor() * step


def _solarize(curve: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    return torch.where(curve >= value * 255, 255 - curve, curve)


GREY_LEVEL_FUNCTIONS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "autocontrast": _autocontrast,
    "brightness": _brightness,
    "contrast": _contrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "solarize": _solarize,
}


CUTOUT_LEVEL = 127.0
"""Level of the cut-out square."""


def normalise(levels: Tensor) -> Tensor:
    """Turn grey levels 0..255 into what networks take: float32 from -1 to 1."""
    return levels.float() / 127.5 - 1


def apply_batched(policy: Policy, pixels: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Augment a batch.

    Args:
        policy: The policy that `parameters` were drawn from.
        pixels: uint8 `(n, size, size)`.
        parameters: What was drawn, on the same device.

    Returns:
        float32 `(n, size, size)`, grey levels 0 to 255.
    """
    acoustic, settings = parameters.acoustic, policy.acoustic
    levels, positions = _warp(policy, pixels.float(), parameters)
    inside = start = grain = None
    if acoustic is not None and settings is not None and positions is not None:
        if settings.draws_any("haze", "background", "overlay"):
            inside = inside_sector(levels)
        grain = grain_of(settings, acoustic, levels.shape[-1])
        levels = scan(settings, levels, acoustic, positions, inside, grain)
    if policy.draws_any(frozenset({"sharpness"})):
        levels = _sharpen(levels, parameters)
    drawn = policy.draws_any(GREY_LEVEL_OPERATIONS)
    if acoustic is not None or drawn:
        index = levels.round().long().flatten(1)
        if acoustic is not None:
            start = acoustic_curve(index.view_as(levels), acoustic)
        curve = start
        if drawn or curve is None:
            curve = compose_curves(histogram(index), parameters.operations, parameters.values, start)
        levels = curve.gather(1, index).view_as(levels)
    if acoustic is not None and settings is not None and inside is not None:
        levels = surround(settings, levels, acoustic, inside, grain)
    return _cut(policy, levels, parameters) if policy.cutout else levels


def _warp(policy: Policy, levels: Tensor, parameters: AugmentationParameters) -> tuple[Tensor, ScanPositions | None]:
    """Return the warped frames, and where their pixels lie in the scan if the acoustic policy needs it."""
    size = levels.shape[-1]
    half = (size - 1) / 2
    maps = crop_maps(parameters)
    outside = positions = None
    drawn = operation_maps(parameters, size) if policy.draws_any(GEOMETRIC_OPERATIONS) else None
    if parameters.acoustic is not None and policy.acoustic is not None:
        acoustic = acoustic_maps(parameters.acoustic, size)
        maps = maps @ (acoustic if drawn is None else acoustic @ drawn)
        positions = scan_positions(policy.acoustic, maps, parameters.acoustic, size)
        outside = _outside_crop(positions, parameters, size)
        grid = torch.stack([positions.x, positions.y], -1).mul_(1 / half)
    elif drawn is not None:
        outside = (map_pixels(drawn, size).abs() > size / 2).any(-1)
        grid = map_pixels(maps @ drawn, size) / half
    else:
        grid = map_pixels(maps, size) / half
    # Reflection about the centres of the border pixels is what reflect-padding does; what a drawn operation pulls in
    # from outside the cropped frame is black.
    warped = functional.grid_sample(
        levels[:, None], grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )[:, 0]
    return warped if outside is None else warped.masked_fill_(outside, 0), positions


def _outside_crop(positions: ScanPositions, parameters: AugmentationParameters, size: int) -> Tensor:
    """Return which positions in the source frame lie outside the cropped frame, bool `(n, size, size)`."""
    shift_x, shift_y = parameters.shift.unbind(-1)
    middle_x = torch.where(parameters.flip, -shift_x, shift_x)[:, None, None]
    apart = torch.maximum((positions.x - middle_x).abs_(), (positions.y - shift_y[:, None, None]).abs_())
    return apart > size / 2


def _sharpen(levels: Tensor, parameters: AugmentationParameters) -> Tensor:
    """Blend with the smoothed frame (3 x 3, weights 1 around 5): factor 0 is smooth, 1 is unchanged."""
    kernel = _smoothing_kernel(levels.device)
    for slot in range(parameters.operations.shape[1]):
        sharpened = parameters.operations[:, slot] == OPERATION_NAMES.index("sharpness")
        factor = torch.where(sharpened, parameters.values[:, slot], 1.0)[:, None, None]
        smooth = functional.conv2d(functional.pad(levels[:, None], (1, 1, 1, 1), mode="reflect"), kernel)[:, 0]
        levels = smooth + factor * (levels - smooth)
    return levels.clamp(0, 255)


@lru_cache
def _smoothing_kernel(device: torch.device) -> Tensor:
    """Return the weights `(1, 1, 3, 3)`; kept, since writing one of them makes the host wait."""
    return torch.tensor([[[[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]]], device=device) / 13


def _cut(policy: Policy, levels: Tensor, parameters: AugmentationParameters) -> Tensor:
    size = levels.shape[-1]
    axis = torch.arange(size, device=levels.device)
    start = parameters.cutout[..., None]
    inside = (axis >= start) & (axis < start + cutout_side(policy, size))
    return torch.where(inside[:, 1, :, None] & inside[:, 0, None, :], CUTOUT_LEVEL, levels)
