"""Textures that augmentation takes pieces of: grain of speckle, and sheets of what scanners write beside the sector.

They are made once from a fixed seed, in double precision, and are the same on every machine.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Texture = npt.NDArray[np.float32]

TEXTURE_SIDE = 128
"""Side of a texture, pixels; textures repeat beyond it."""
GRAINS = ((0.6, 0.4), (1.0, 0.6), (1.5, 0.8))
"""Standard deviations of the grains, pixels, lateral and axial: speckle is wider across the beam than along it."""
SHEETS = 8
"""Number of sheets of writing."""
SMALL = 80
"""Frames of a smaller side, in pixels, get smaller writing."""


@lru_cache
def grain_textures() -> Texture:
    """Return correlated noise of mean 0 and variance 1, float32 `(len(GRAINS), side, side)`."""
    rng = np.random.default_rng(20_26)
    textures = []
    for lateral, axial in GRAINS:
        noise = rng.standard_normal((TEXTURE_SIDE, TEXTURE_SIDE))
        for axis, width in ((1, lateral), (0, axial)):
            reach = math.ceil(3 * width)
            weights = {offset: math.exp(-0.5 * (offset / width) ** 2) for offset in range(-reach, reach + 1)}
            noise = sum((weight * np.roll(noise, offset, axis) for offset, weight in weights.items()), np.zeros(()))
        textures.append((noise - noise.mean()) / noise.std())
    return np.stack(textures).astype(np.float32)


@lru_cache
def sheet_textures(size: int) -> Texture:
    """Return sheets of text-like strokes, calipers, scales and bars, float32 `(SHEETS, side, side)`, 0 to 1.

    Args:
        size: Side of the frames, pixels. Writing for small ones is half as large, and blurred as if scaled down.
    """
    rng = np.random.default_rng(20_27)
    sheets = np.stack([_sheet(rng) for _ in range(SHEETS)])
    if size >= SMALL:
        return sheets
    half = TEXTURE_SIDE // 2
    halved: Texture = sheets.reshape(SHEETS, half, 2, half, 2).mean((2, 4), dtype=np.float32)
    return (1.5 * halved).clip(max=1).astype(np.float32)


def _sheet(rng: np.random.Generator) -> Texture:
    sheet = np.zeros((TEXTURE_SIDE, TEXTURE_SIDE), np.float32)
    for top in range(int(rng.integers(0, 6)), TEXTURE_SIDE - 8, 7):
        left = int(rng.integers(0, 24))
        while left < TEXTURE_SIDE - 20 and rng.random() < 0.7:
            length = int(rng.integers(2, 8))
            for start in range(left, min(left + 4 * length, TEXTURE_SIDE - 4), 4):
                sheet[top : top + 5, start : start + 3] = _glyph(rng)
            left += 4 * length + int(rng.integers(4, 40))
    for _ in range(4):  # calipers
        x, y = (int(value) for value in rng.integers(4, TEXTURE_SIDE - 4, 2))
        sheet[y, x - 2 : x + 3] = sheet[y - 2 : y + 3, x] = 1
    x, y = (int(value) for value in rng.integers(0, TEXTURE_SIDE - 48, 2))
    sheet[y : y + 40, x : x + 4] = np.linspace(1, 0, 40, dtype=np.float32)[:, None]  # bar of grey levels
    x = int(rng.integers(0, TEXTURE_SIDE - 4))
    sheet[::6, x : x + 2] = 1  # depth scale
    sheet[::30, x : x + 4] = 1
    return sheet


def _glyph(rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return a random 5 x 3 character: strokes along its outline and middle."""
    glyph = np.zeros((5, 3), bool)
    for rows, columns in ((0, slice(3)), (2, slice(3)), (4, slice(3)), (slice(5), 0), (slice(5), 2), (slice(5), 1)):
        if rng.random() < 0.5:
            glyph[rows, columns] = True
    return glyph


@lru_cache
def textures_on(device: torch.device, size: int) -> tuple[Tensor, Tensor]:
    """Return grains and sheets for frames of a size on a device; kept, since sending them makes the host wait."""
    return torch.from_numpy(grain_textures()).to(device), torch.from_numpy(sheet_textures(size)).to(device)


def texture_pieces(textures: Tensor, choice: Tensor, start_x: Tensor, start_y: Tensor, size: int) -> Tensor:
    """Cut a piece of a texture for each frame.

    Args:
        textures: `(k, side, side)`.
        choice: Which texture, `(n,)`, from 0 to 1.
        start_x: Where it begins, `(n,)`, from 0 to 1.
        start_y: The same down.
        size: Side of the pieces, pixels.

    Returns:
        `(n, size, size)`.
    """
    count, side = textures.shape[:2]
    axis = torch.arange(size, device=textures.device)
    number = (choice * count).long().clamp(0, count - 1)
    rows = ((start_y * side).long()[:, None] + axis) % side + number[:, None] * side
    columns = ((start_x * side).long()[:, None] + axis) % side
    return textures.flatten().take(rows[:, :, None] * side + columns[:, None, :])
