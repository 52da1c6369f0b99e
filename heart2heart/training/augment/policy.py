"""The augmentation policy (named operations with ranges, as plain configuration) and its random parameters.

Parameters are drawn first and applied after, so that they can be recorded, replayed and compared. The order of
application is part of the definition, and the same for both drivers: flip and crop, the drawn geometric operations
(composed into one affine map), sharpness, the drawn operations on grey levels in the order drawn, cutout. The acoustic
policy is the scanner's part: its geometry comes between crop and RandAugment's geometry, its scan before sharpness, its
curve before the drawn operations on grey levels, and what it writes outside the sector before cutout.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from heart2heart.config import Config
from heart2heart.training.augment.acoustic import AcousticParameters, AcousticPolicy, draw_acoustic

OperationName = Literal[
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
    "sharpness", "autocontrast", "brightness", "contrast", "equalize", "posterize", "solarize",
]  # fmt: skip

OPERATION_NAMES: tuple[OperationName, ...] = (
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
    "sharpness", "autocontrast", "brightness", "contrast", "equalize", "posterize", "solarize",
)  # fmt: skip
"""Every operation there is; its place here is its number in `Parameters.operations`."""

GEOMETRIC_OPERATIONS = frozenset({"rotate", "shear_x", "shear_y", "translate_x", "translate_y"})
GREY_LEVEL_OPERATIONS = frozenset({"autocontrast", "brightness", "contrast", "equalize", "posterize", "solarize"})


class Operation(Config):
    """One operation that RandAugment may draw, with the range of its magnitude.

    Units: `rotate` degrees, `shear_*` tangent, `translate_*` share of the side, `sharpness`, `brightness` and
    `contrast` factor (1 changes nothing), `posterize` bits kept (rounded down), `solarize` level as a share of white.
    """

    name: OperationName
    """Which operation."""
    low: float = 0.0
    """Its value at strength 0."""
    high: float = 0.0
    """Its value at strength 1."""
    signed: bool = False
    """Whether the sign of the value is drawn as well."""


RANDAUGMENT: tuple[Operation, ...] = (
    Operation(name="identity"),
    Operation(name="autocontrast"),
    Operation(name="equalize"),
    Operation(name="brightness", low=0.05, high=0.95),
    Operation(name="contrast", low=0.05, high=0.95),
    Operation(name="sharpness", low=0.05, high=0.95),
    Operation(name="posterize", low=4, high=8),
    Operation(name="solarize", low=1.0, high=0.0),
    Operation(name="rotate", high=30.0, signed=True),
    Operation(name="shear_x", high=0.3, signed=True),
    Operation(name="shear_y", high=0.3, signed=True),
    Operation(name="translate_x", high=0.3, signed=True),
    Operation(name="translate_y", high=0.3, signed=True),
)
"""The operations and ranges of FixMatch's RandAugment that mean something for a grey frame (colour is left out)."""


class Policy(Config):
    """How one view of a frame is augmented."""

    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    crop: float = Field(0.125, ge=0, lt=0.5)
    """Reflect-padding before a random crop back to the frame's size, as a share of the side."""
    draws: int = Field(0, ge=0, le=8)
    """RandAugment's n: operations drawn per frame, with replacement; 0 draws none."""
    magnitude: int = Field(10, ge=2, le=10)
    """RandAugment's m: the strength is drawn from 1/10, 2/10, ... (m-1)/10."""
    probability: float = Field(0.5, ge=0, le=1)
    """Probability that a drawn operation is applied."""
    operations: tuple[Operation, ...] = Field(RANDAUGMENT, min_length=1)
    """What may be drawn."""
    cutout: float = Field(0.0, ge=0, lt=1)
    """Side of the grey square that is cut out, as a share of the frame's side; 0 cuts nothing."""
    acoustic: AcousticPolicy | None = None
    """What differs between scanners, probes and settings; `{}` is the policy with its defaults, null leaves it out."""

    def draws_any(self, names: frozenset[str]) -> bool:
        """Return whether an operation of `names` can be drawn."""
        return self.draws > 0 and any(operation.name in names for operation in self.operations)


WEAK = Policy()
"""Weak augmentation: flip, and crop after reflect-padding 12.5 % (Fix-A-Step, section 5)."""

LABELED = Policy(acoustic=AcousticPolicy.of("background", "overlay"))
"""Weak augmentation, and what lies outside the sector changed at times: the default of labeled frames."""

STRONG = Policy(draws=2, cutout=0.5)
"""Strong augmentation: weak, then RandAugment(n=2, m=10) with each operation at p=.5, then cutout of half the side."""


@dataclass(frozen=True)
class AugmentationParameters:
    """What was drawn for `n` frames.

    Attributes:
        flip: bool `(n,)`.
        shift: float32 `(n, 2)`, crop offset x, y from the middle of the padded frame, whole pixels.
        operations: int64 `(n, draws)`, places in `policy.NAMES`; an operation that is not applied is `identity`.
        values: float32 `(n, draws)`, in the units of `policy.Operation`.
        cutout: float32 `(n, 2)`, where the square starts x, y, pixels; it ends at the frame's border at the latest.
        acoustic: What the acoustic policy drew; None where there is none, or at strength 0.
    """

    flip: Tensor
    shift: Tensor
    operations: Tensor
    values: Tensor
    cutout: Tensor
    acoustic: AcousticParameters | None = None

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.flip)

    def take(self, index: slice | Tensor) -> AugmentationParameters:
        """Return the parameters of some of the frames."""
        tensors = {name: value[index] for name, value in self._tensors().items()}
        return AugmentationParameters(**tensors, acoustic=self.acoustic and self.acoustic.take(index))

    def to(self, device: torch.device | str) -> AugmentationParameters:
        """Return the same parameters on another device."""
        tensors = {name: value.to(device) for name, value in self._tensors().items()}
        return AugmentationParameters(**tensors, acoustic=self.acoustic and self.acoustic.to(device))

    def _tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "acoustic"}


def draw_parameters(policy: Policy, n: int, size: int, generator: torch.Generator) -> AugmentationParameters:
    """Draw the parameters of `n` frames of `size` x `size` pixels, on the generator's device.

    Args:
        policy: What to draw from.
        n: Number of frames.
        size: Side of the frames, pixels.
        generator: The only source of chance.
    """
    device = generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator, device=device)

    pad = round(policy.crop * size)
    flip = uniform(n) < policy.flip
    shift = integers(-pad, pad + 1, n, 2).float()
    drawn = _ranges(policy.operations, device)[integers(0, len(policy.operations), n, policy.draws)]
    strength = integers(1, policy.magnitude, n, policy.draws) / 10
    sign = torch.where((uniform(n, policy.draws) < 0.5) & (drawn[..., 3] > 0), -1.0, 1.0)
    applied = uniform(n, policy.draws) < policy.probability
    operations = torch.where(applied, drawn[..., 0].long(), OPERATION_NAMES.index("identity"))
    values = sign * (drawn[..., 1] + strength * (drawn[..., 2] - drawn[..., 1]))
    # The centre is uniform over the frame. As in the authors' code a square that would begin outside is moved in.
    side = cutout_side(policy, size)
    cutout = (integers(0, size, n, 2).float() - side // 2).clamp_min(0)
    acoustic = draw_acoustic(policy.acoustic, n, generator) if policy.acoustic and policy.acoustic.strength else None
    return AugmentationParameters(flip, shift, operations, values, cutout, acoustic)


@lru_cache
def _ranges(operations: tuple[Operation, ...], device: torch.device) -> Tensor:
    """Return number, low, high and sign of each operation; kept, since sending it makes the host wait."""
    return torch.tensor(
        [[OPERATION_NAMES.index(op.name), op.low, op.high, op.signed] for op in operations], device=device
    )


def cutout_side(policy: Policy, size: int) -> int:
    """Return the side of the cut-out square in pixels."""
    return round(policy.cutout * size)
