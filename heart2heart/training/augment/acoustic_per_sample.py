"""The acoustic operations on one frame, in NumPy and double precision: an independent reference of the batched ones."""

from __future__ import annotations

from math import ceil, cos, exp, radians, sin
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from heart2heart.training.augment.acoustic import COLUMNS, DISPLAY_RANGE, KNOTS, AcousticParameters, AcousticPolicy
from heart2heart.training.augment.acoustic_batched import DEEPEST, FOOT, FWHM, GRAIN_SHARE, SHADOW_EDGE
from heart2heart.training.augment.acoustic_geometry import LIT_LEVEL, cell_side, directions
from heart2heart.training.augment.textures import grain_textures, sheet_textures

Image = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float64]


class AcousticSample:
    """What was drawn for one frame, and the steps that apply it.

    Args:
        policy: The policy that `parameters` were drawn from.
        parameters: What was drawn, for one frame.
        size: Side of the frame, pixels.
    """

    def __init__(self, policy: AcousticPolicy, parameters: AcousticParameters, size: int) -> None:
        self.policy, self.size = policy, size
        self.drawn = dict(zip(COLUMNS, parameters.values[0].double().tolist(), strict=True))
        self.depth = self.slope = np.zeros((size, size))
        self.inside = np.ones((size, size), bool)

    def warp(self, image: Image, *, crop: tuple[float, float, bool], extra: Field) -> Image:
        """Warp the frame by crop, flip, geometry and the drawn operations of RandAugment.

        Args:
            image: uint8 `(size, size)`, the source frame.
            crop: Offset x and y from the middle, pixels, and whether the frame is flipped.
            extra: `(3, 3)`, the map of RandAugment's operations.
        """
        from scipy import ndimage

        drawn, size = self.drawn, self.size
        half = (size - 1) / 2
        y, x = np.mgrid[:size, :size] - half
        x, y, _ = np.einsum("ij,jyx->iyx", extra, np.stack([x, y, np.ones_like(x)]))
        angle = radians(drawn["rotation"])
        x, y = cos(angle) * x - sin(angle) * y, sin(angle) * x + cos(angle) * y
        zoom = exp(drawn["depth"])
        x = zoom * exp(drawn["aspect"]) * (x + size * drawn["shift_x"])
        y = zoom * (y + size * drawn["shift_y"] + half) - half
        shift_x, shift_y, flipped = crop
        x, y = (x + shift_x) * (-1 if flipped else 1), y + shift_y
        height = drawn["apex"] * size
        below = y + half + height
        radius = np.hypot(x, below)
        self.depth = np.maximum(radius - height, 0) / size
        x = x * exp(drawn["sector_angle"])
        turned = np.sqrt(np.maximum(radius**2 - x**2, 0)) * np.where(below < 0, -1, 1)
        self.slope = x / np.maximum(turned, 1)
        y = turned - half - height
        cropped_x, cropped_y = x * (-1 if flipped else 1) - shift_x, y - shift_y
        black = (np.abs(cropped_x) > size / 2) | (np.abs(cropped_y) > size / 2)
        warped = ndimage.map_coordinates(image.astype(float), [y + half, x + half], order=1, mode="mirror")
        warped[black] = 0
        self.inside = convex_sector(warped)
        return self.scan(warped)

    def scan(self, levels: Field) -> Image:
        """Apply blur, sharpness, grain, attenuation, time gain, shadow and haze."""
        from scipy import ndimage

        drawn = self.drawn
        levels = self._blurred(levels)
        kernel = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8
        smooth = ndimage.convolve(levels, kernel, mode="nearest")
        levels = np.clip(levels + drawn["sharpness"] * (levels - smooth), 0, 255)
        grain = self._piece(grain_textures(), "grain")
        decibels = drawn["speckle"] * grain - drawn["attenuation"] * np.minimum(self.depth, DEEPEST)
        decibels += self._time_gain()
        side = np.clip((drawn["shadow_width"] - np.abs(self.slope - drawn["shadow_slope"])) / SHADOW_EDGE, 0, 1)
        start = np.clip((self.depth - drawn["shadow_depth"]) / (2 * SHADOW_EDGE), 0, 1)
        decibels -= drawn["shadow"] * side * start
        change = 255 * decibels / DISPLAY_RANGE
        levels = np.clip(levels + np.where(change > 0, np.minimum(levels / FOOT, 1), 1) * change, 0, 255)
        apart = (self.depth - drawn["haze_depth"]) / max(drawn["haze_width"], 1e-3)
        veil = drawn["haze"] * np.exp(-0.5 * apart**2) * (1 + GRAIN_SHARE * grain) * self.inside
        return _rounded(levels + veil * (255 - levels))

    def curve(self, image: Image) -> Image:
        """Apply gain, dynamic range, black level, gamma, brightness and contrast."""
        drawn = self.drawn
        lit = image[image > LIT_LEVEL]
        mean, spread = (float(lit.mean()), float(lit.std())) if lit.size else (0.0, 0.0)
        white = min(max(mean + 2 * spread, FOOT), 255)

        def shown(level: npt.NDArray[Any]) -> npt.NDArray[Any]:
            share = 1 - (1 - level / white) * exp(drawn["dynamic_range"])
            share = np.maximum((share - drawn["black_level"]) / (1 - drawn["black_level"]), 0)
            bright = white * share ** exp(drawn["gamma"]) * exp(drawn["brightness"])
            return np.asarray(bright + 255 * drawn["gain"] / DISPLAY_RANGE)

        level = image.astype(float)
        middle = shown(np.rint(mean))
        changed = np.clip(middle + (shown(level) - middle) * exp(drawn["contrast"]), 0, 255)
        return _rounded(np.where(changed > level, level + np.minimum(level / FOOT, 1) * (changed - level), changed))

    def surround(self, image: Image) -> Image:
        """Replace what is outside the sector: background, then writing on it."""
        outside = image.copy()
        if self.drawn["background"] > 0:
            outside = _rounded(
                self.drawn["background"] * 255 * (1 + GRAIN_SHARE * self._piece(grain_textures(), "grain"))
            )
        outside = np.maximum(
            outside, _rounded(self.drawn["overlay"] * 255 * self._piece(sheet_textures(self.size), "sheet"))
        )
        return np.where(self.inside, image, outside)

    def _piece(self, textures: npt.NDArray[np.float32], name: str) -> Field:
        side = textures.shape[-1]
        x, y = int(np.float32(self.drawn[f"{name}_x"]) * side), int(np.float32(self.drawn[f"{name}_y"]) * side)
        texture = textures[min(int(self.drawn[name] * len(textures)), len(textures) - 1)]
        repeats = ceil((side + self.size) / side)
        return np.tile(texture, (repeats, repeats))[y : y + self.size, x : x + self.size].astype(float)

    def _blurred(self, levels: Field) -> Field:
        from scipy import special

        blurred = levels
        for name, axis in (("blur", 1), ("blur_axial", 0)):
            widest, width = (value * self.size / FWHM for value in (self.policy.amount(name), self.drawn[name]))
            if width > 0:
                reach = min(max(1, ceil(2 * widest)), self.size - 1)
                kernel = special.ive(np.arange(-reach, reach + 1), width**2)  # the discrete Gaussian
                blurred = _convolved(blurred, kernel / kernel.sum(), axis)
        return levels + np.minimum(self.depth**2, 1) * (blurred - levels)

    def _time_gain(self) -> Field:
        knots = np.array([self.drawn[f"time_gain_{knot}"] for knot in range(KNOTS)])
        position = np.minimum(self.depth * (KNOTS - 1), KNOTS - 1)
        before = np.minimum(position.astype(int), KNOTS - 2)
        step = position - before
        rise = step * step * (3 - 2 * step)
        return cast("Field", knots[before] * (1 - rise) + knots[before + 1] * rise)


def convex_sector(levels: Field) -> npt.NDArray[np.bool_]:
    """Return the polygon around the densely lit cells, grown by a pixel, bool `(size, size)`."""
    size = len(levels)
    cell = cell_side(size)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    dense = np.zeros((size, size), bool)
    for top in range(0, size, cell):
        for left in range(0, size, cell):
            block = np.s_[top : top + cell, left : left + cell]
            dense[block] = (levels[block] > LIT_LEVEL).mean() > 0.4
    inside = np.full((size, size), bool(dense.any()))
    for across, down in directions():
        reach = across * x + down * y
        inside &= reach <= reach[dense].max(initial=-np.inf) + 1
    return inside


def _convolved(levels: Field, kernel: Field, axis: int) -> Field:
    from scipy import ndimage

    return ndimage.convolve1d(levels, kernel, axis=axis, mode="nearest")


def _rounded(levels: Field) -> Image:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
