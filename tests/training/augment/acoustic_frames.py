"""Frames for the tests of acoustic augmentation: a fan of smooth tissue with speckle on black."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from heart2heart.training.augment.acoustic import COLUMNS, AcousticOperation, AcousticParameters, AcousticPolicy
from heart2heart.training.augment.drivers import DRIVERS
from heart2heart.training.augment.policy import AugmentationParameters, Policy, draw_parameters

SIZE = 48


def fan_mask(size: int = SIZE) -> Tensor:
    """A sector of some 39 degrees to each side of the axis, its tip at the top, bool `(size, size)`."""
    y, x = np.mgrid[:size, :size]
    x = x - (size - 1) / 2
    return torch.from_numpy((np.abs(x) <= 0.8 * y + 2) & (np.hypot(x, y) < 0.95 * size))


def fans(n: int, size: int = SIZE, seed: int = 0) -> Tensor:
    """Return uint8 `(n, size, size)`."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 1, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)[:, 0]
    noisy = 40 + 160 * smooth + 8 * torch.randn(n, size, size, generator=generator)
    return (noisy.clamp(16, 255) * fan_mask(size)).to(torch.uint8)


def only(name: AcousticOperation) -> Policy:
    """The policy of one acoustic operation, always applied."""
    return Policy(flip=0, crop=0, acoustic=AcousticPolicy().only(name))


def drawn(policy: Policy, pixels: Tensor, seed: int = 3) -> AugmentationParameters:
    return draw_parameters(policy, len(pixels), pixels.shape[-1], torch.Generator().manual_seed(seed))


def with_values(policy: Policy, pixels: Tensor, driver: str = "batched", **values: float) -> Tensor:
    """Apply a policy with these numbers, and 0 for all others."""
    parameters = drawn(policy, pixels)
    row = torch.tensor([values.get(name, 0.0) for name in COLUMNS])
    fixed = AcousticParameters(row.repeat(len(pixels), 1))
    replaced = AugmentationParameters(
        parameters.flip, parameters.shift, parameters.operations, parameters.values, parameters.cutout, fixed
    )
    return DRIVERS[driver](policy, pixels, replaced)
