"""The augmentation policy: named operations with ranges, as plain configuration.

The order of application is part of the definition, and the same for both drivers: flip and crop, the drawn geometric
operations (composed into one affine map), sharpness, the drawn operations on grey levels in the order drawn, cutout.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from heart2heart.config import Config

OperationName = Literal[
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
    "sharpness", "autocontrast", "brightness", "contrast", "equalize", "posterize", "solarize",
]  # fmt: skip

NAMES: tuple[OperationName, ...] = (
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
    "sharpness", "autocontrast", "brightness", "contrast", "equalize", "posterize", "solarize",
)  # fmt: skip
"""Every operation there is; its place here is its number in `Parameters.operations`."""

GEOMETRIC = frozenset({"rotate", "shear_x", "shear_y", "translate_x", "translate_y"})
TONE = frozenset({"autocontrast", "brightness", "contrast", "equalize", "posterize", "solarize"})


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

    def draws_any(self, names: frozenset[str]) -> bool:
        """Return whether an operation of `names` can be drawn."""
        return self.draws > 0 and any(operation.name in names for operation in self.operations)


WEAK = Policy()
"""Weak augmentation: flip, and crop after reflect-padding 12.5 % (Fix-A-Step, section 5)."""

STRONG = Policy(draws=2, cutout=0.5)
"""Strong augmentation: weak, then RandAugment(n=2, m=10) with each operation at p=.5, then cutout of half the side."""
