"""The acoustic operations on batches, on their device: few passes over the pixels, and the same on every processor.

Sums in decibels that depend on the depth alone (time gain, attenuation) and the haze are read from one table a frame;
operations that depend on the level alone are composed into the curve of the tone operations.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from heart2heart.training.augment.acoustic import DISPLAY_RANGE, KNOTS, AcousticParameters, AcousticPolicy
from heart2heart.training.augment.acoustic_geometry import LIT_LEVEL, ScanPositions
from heart2heart.training.augment.textures import texture_pieces, textures_on

LEVELS_PER_DB = 255 / DISPLAY_RANGE
FOOT = 40.0
"""Below this level a rise fades to none at black, where nothing was recorded that a gain could raise."""
DEEPEST = 1.25
"""Depth at which the tables of the depth end, shares of the side."""
DEPTH_BINS = 512
SHADOW_EDGE = 0.03
"""Half-shadow at the sides of a shadow, tangent; its upper end fades over twice as many sides."""
GRAIN_SHARE = 0.25
"""Grain of haze and background, as a share of their level."""
_TERMS = 14
FWHM = 2.3548
"""Full width at half maximum of a Gaussian of standard deviation 1."""


def grain_of(policy: AcousticPolicy, parameters: AcousticParameters, size: int) -> Tensor | None:
    """Return grain of mean 0 and variance 1, float32 `(n, size, size)`; None where no operation takes it."""
    if not policy.draws_any("speckle", "haze", "background"):
        return None
    grains = textures_on(parameters.values.device, size)[0]
    return texture_pieces(grains, parameters["grain"], parameters["grain_x"], parameters["grain_y"], size)


def scan(
    policy: AcousticPolicy,
    levels: Tensor,
    parameters: AcousticParameters,
    positions: ScanPositions,
    inside: Tensor | None,
    grain: Tensor | None,
) -> Tensor:
    """Apply what happens between tissue and display: blur, sharpness, grain, attenuation, time gain, shadow, haze.

    Args:
        policy: The policy that `parameters` were drawn from.
        levels: float32 `(n, size, size)`, after the geometry.
        parameters: What was drawn.
        positions: Where the pixels lie in the scan.
        inside: bool `(n, size, size)`, the sector, which haze fills; None only where no haze is drawn.
        grain: What `grain_of` returns.

    Returns:
        float32 `(n, size, size)`, whole levels 0 to 255.
    """
    if policy.draws_any("blur"):
        levels = _blur(policy, levels, parameters, positions.depth)
    if policy.draws_any("sharpness"):
        levels = _sharpen(levels, parameters["sharpness"][:, None, None])
    bins = None
    if policy.draws_any("attenuation", "time_gain", "haze"):
        bins = (positions.depth * (DEPTH_BINS / DEEPEST)).clamp_(max=DEPTH_BINS - 1).long().flatten(1)
    change = None
    if bins is not None and policy.draws_any("attenuation", "time_gain"):
        change = (_depth_gain(parameters) * LEVELS_PER_DB).gather(1, bins).view_as(levels)
    if policy.draws_any("shadow"):
        loss = _shadow(parameters, positions)
        change = loss.neg_() if change is None else change.sub_(loss)
    if grain is not None and policy.draws_any("speckle"):
        amount = (parameters["speckle"] * LEVELS_PER_DB)[:, None, None]
        change = grain * amount if change is None else change.addcmul_(grain, amount)
    if change is not None:
        levels = torch.minimum(change, (levels * (1 / FOOT)).clamp_(max=1).mul_(change)).add_(levels).clamp_(0, 255)
    if grain is not None and bins is not None and inside is not None and policy.draws_any("haze"):
        veil = _haze(parameters).gather(1, bins).view_as(levels)
        veil.addcmul_(veil, grain, value=GRAIN_SHARE).masked_fill_(~inside, 0)
        levels = torch.addcmul(levels, veil, 255 - levels)
    return levels.round().clamp_(0, 255)


def acoustic_curve(levels: Tensor, parameters: AcousticParameters) -> Tensor:
    """Return the curve of gain, dynamic range, black level, gamma, brightness and contrast.

    Args:
        levels: int64 `(n, size, size)`. Contrast turns about the mean of the lit ones. Dynamic range, black level and
            gamma are relative to the frame's white, two standard deviations above that mean, as operators set the
            controls so that something is seen: with a fixed white they would wipe out a dark frame.
        parameters: What was drawn.

    Returns:
        float32 `(n, 256)`: the new level, a whole number in 0..255, of each old one; that of 0 is 0.
    """
    old = torch.arange(256.0, device=levels.device, dtype=torch.float64)
    values = parameters.values.double()
    columns = AcousticParameters(values)

    def column(name: str) -> Tensor:
        return columns[name][:, None]

    lit = levels > LIT_LEVEL
    count = lit.sum((1, 2)).clamp_min(1)[:, None]
    mean = (levels * lit).sum((1, 2))[:, None] / count.double()
    variance = (levels.square() * lit).sum((1, 2))[:, None] / count.double() - mean.square()
    white = (mean + 2 * variance.clamp_min(0).sqrt()).clamp_(FOOT, 255)

    curve = 1 - (1 - old / white) * column("dynamic_range").exp()
    curve = ((curve - column("black_level")) / (1 - column("black_level"))).clamp_min_(0)
    curve = white * curve.pow(column("gamma").exp()) * column("brightness").exp()
    curve += column("gain") * LEVELS_PER_DB
    middle = curve.gather(1, mean.round().long())
    curve = (middle + (curve - middle) * column("contrast").exp()).clamp_(0, 255)
    curve = torch.minimum(curve, old + (curve - old) * (old / FOOT).clamp(max=1)).clamp_min_(0)
    return curve.round_().float()


def surround(
    policy: AcousticPolicy, levels: Tensor, parameters: AcousticParameters, inside: Tensor, grain: Tensor | None
) -> Tensor:
    """Replace what is outside the sector: background, then writing on it.

    Args:
        policy: The policy that `parameters` were drawn from.
        levels: float32 `(n, size, size)`.
        parameters: What was drawn.
        inside: bool `(n, size, size)`, the sector.
        grain: What `grain_of` returns.
    """
    size = levels.shape[-1]
    outside = levels
    if grain is not None and policy.draws_any("background"):
        base = (parameters["background"] * 255)[:, None, None]
        ground = torch.addcmul(base, base, grain, value=GRAIN_SHARE).round_().clamp_(0, 255)
        outside = torch.where(base > 0, ground, outside)
    if policy.draws_any("overlay"):
        sheets = textures_on(levels.device, size)[1]
        writing = texture_pieces(sheets, parameters["sheet"], parameters["sheet_x"], parameters["sheet_y"], size)
        outside = torch.maximum(outside, writing.mul_((parameters["overlay"] * 255)[:, None, None]).round_())
    return torch.where(inside, levels, outside)


def _depth_gain(parameters: AcousticParameters) -> Tensor:
    """Return decibels by depth, float32 `(n, DEPTH_BINS)`."""
    depth, weights = _depth_table(parameters.values.device)
    curve = (parameters.knots()[:, :, None] * weights).sum(1)
    return curve - parameters["attenuation"][:, None] * depth


def _haze(parameters: AcousticParameters) -> Tensor:
    """Return the share of white by depth, float32 `(n, DEPTH_BINS)`."""
    depth, _ = _depth_table(parameters.values.device)
    apart = (depth - parameters["haze_depth"][:, None]) / parameters["haze_width"][:, None].clamp_min(1e-3)
    return parameters["haze"][:, None] * (-0.5 * apart.square()).exp()


@lru_cache
def _depth_table(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the depth of each bin, and the weight of each knot there: smooth steps from knot to knot."""
    depth = (torch.arange(DEPTH_BINS) + 0.5) * (DEEPEST / DEPTH_BINS)
    apart = (depth * (KNOTS - 1)).clamp(max=KNOTS - 1) - torch.arange(KNOTS)[:, None]
    near = (1 - apart.abs()).clamp_min(0)
    return depth.to(device), (near.square() * (3 - 2 * near)).to(device)


def _shadow(parameters: AcousticParameters, positions: ScanPositions) -> Tensor:
    """Return the loss in grey levels, float32 `(n, size, size)`."""

    def column(name: str) -> Tensor:
        return parameters[name][:, None, None]

    loss = (positions.slope - column("shadow_slope")).abs_().neg_().add_(column("shadow_width"))
    loss.mul_(1 / SHADOW_EDGE).clamp_(0, 1)
    start = (positions.depth - column("shadow_depth")).mul_(0.5 / SHADOW_EDGE).clamp_(0, 1)
    return loss.mul_(start).mul_(column("shadow") * LEVELS_PER_DB)


def _blur(policy: AcousticPolicy, levels: Tensor, parameters: AcousticParameters, depth: Tensor) -> Tensor:
    """Blend with the frame that is blurred as at the lower end, by the square of the depth: variances add up."""
    size = levels.shape[-1]
    blurred = levels
    for name, dimension in (("blur", -1), ("blur_axial", -2)):
        widest = policy.amount(name) * size / FWHM
        if widest > 0:
            width = parameters[name] * (size / FWHM)
            blurred = _smooth(blurred, _gaussian_weights(width, blur_reach(widest, size)), dimension)
    return torch.lerp(levels, blurred, depth.square().clamp_(max=1))


def blur_reach(widest: float, size: int) -> int:
    """Return how many pixels to each side the widest point spread takes in."""
    return min(max(1, math.ceil(2 * widest)), size - 1)


def _gaussian_weights(width: Tensor, reach: int) -> Tensor:
    """Return Gaussians of standard deviation `width` at 0 to `reach` pixels, float32 `(reach + 1, n, 1, 1)`.

    Below two pixels it is the discrete Gaussian, exp(-variance) times modified Bessel functions by their power series,
    since a sampled one is too narrow; above, the sampled one.
    """
    offsets, powers, divisors = _bessel_series(reach, width.device)
    variance = width.double().square()
    series = ((variance.clamp_max(4) / 2)[:, None, None].pow(powers) / divisors).sum(-1)
    sampled = (-offsets.square() / (2 * variance.clamp_min(1e-12))[:, None]).exp()
    weights = torch.where(variance[:, None] < 4, series, sampled)
    return (weights / (2 * weights.sum(1, keepdim=True) - weights[:, :1])).float().T[..., None, None]


@lru_cache
def _bessel_series(reach: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return offsets `(reach + 1,)`, and powers and divisors `(reach + 1, terms)` of half the argument."""
    rows = range(reach + 1)
    powers = [[2.0 * k + offset for k in range(_TERMS)] for offset in rows]
    divisors = [[float(math.factorial(k) * math.factorial(k + offset)) for k in range(_TERMS)] for offset in rows]
    offsets = torch.arange(reach + 1, dtype=torch.float64, device=device)
    return offsets, torch.tensor(powers).double().to(device), torch.tensor(divisors, dtype=torch.float64, device=device)


def _smooth(levels: Tensor, weights: Tensor, dimension: int) -> Tensor:
    """Convolve along one dimension with a symmetric kernel; the frame ends in copies of its border pixels.

    Args:
        levels: float32 `(n, size, size)`.
        weights: float32 `(reach + 1, n, 1, 1)`, the kernel's values at 0, 1, ... pixels; the kernel's sum is 1.
        dimension: -1 across, -2 down.
    """
    size, reach = levels.shape[-1], len(weights) - 1
    padded = _pad(levels, reach, dimension)
    out = levels * weights[0]
    for offset in range(1, reach + 1):
        pair = padded.narrow(dimension, reach - offset, size) + padded.narrow(dimension, reach + offset, size)
        out.addcmul_(pair, weights[offset])
    return out


def _sharpen(levels: Tensor, amount: Tensor) -> Tensor:
    """Add `amount` times the difference from the smoothed frame, half itself and half the mean of four neighbours."""
    size = levels.shape[-1]
    across, down = _pad(levels, 1, -1), _pad(levels, 1, -2)
    neighbours = across[..., :size] + across[..., 2:]
    neighbours.add_(down[:, :size]).add_(down[:, 2:])
    return (levels * (1 + amount / 2)).addcmul_(neighbours, amount, value=-0.125).clamp_(0, 255)


def _pad(levels: Tensor, reach: int, dimension: int) -> Tensor:
    first, last = levels.narrow(dimension, 0, 1), levels.narrow(dimension, levels.shape[-1] - 1, 1)
    return torch.cat([first] * reach + [levels] + [last] * reach, dimension)
