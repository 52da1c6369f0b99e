"""Fixed acoustic perturbations by kind and level, to test and to select models with.

They are the operations of `AcousticPolicy`, one at a time: level 0 changes nothing, level 1 is the end of the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.augment.acoustic import (
    ACOUSTIC_OPERATIONS,
    COLUMNS,
    FACTORS,
    AcousticOperation,
    AcousticParameters,
    AcousticPolicy,
)
from heart2heart.training.augment.batched import apply_batched
from heart2heart.training.augment.policy import Policy, draw_parameters

_UNITS: Mapping[str, str] = {
    "rotation": "degrees",
    "shift": "share of the side",
    "blur": "lateral width, share of the side",
    "sharpness": "times the edges",
    **dict.fromkeys(("attenuation", "time_gain", "shadow", "gain"), "dB"),
    "speckle": "dB, standard deviation",
    "black_level": "share of the frame's white",
    **dict.fromkeys(("haze", "background", "overlay"), "share of white"),
}


@dataclass(frozen=True)
class Perturbation:
    """One kind of perturbation.

    Attributes:
        unit: Unit of `highest`.
        neutral: The value that changes nothing: 1 for a factor, else 0.
        highest: The value at level 1.
        signed: Whether half of the frames take the opposite value (for factors the inverse), by chance.
    """

    unit: str
    neutral: float
    highest: float
    signed: bool

    def value(self, level: float) -> float:
        """Return the value at a level from 0 to 1: even steps, for factors of the logarithm."""
        return self.highest**level if self.neutral else self.highest * level


_POLICY = AcousticPolicy()


def _perturbation(name: AcousticOperation) -> Perturbation:
    signed = any(column.operation == name and column.low < 0 for column in COLUMNS.values())
    factor = name in FACTORS
    return Perturbation(_UNITS.get(name, "factor"), float(factor), float(getattr(_POLICY, name)), signed)


PERTURBATIONS: Mapping[str, Perturbation] = {name: _perturbation(name) for name in ACOUSTIC_OPERATIONS}
"""Every kind by name, with its unit and range: those of `AcousticPolicy` at strength 1."""


@torch.no_grad()
def perturb(kind: str, level: float, frames: Tensor, seed: int = 0) -> Tensor:
    """Perturb frames by one kind at one level.

    What chance decides (the sign, the place of a shadow, the grain) depends on the seed and the frame's position in
    `frames`, and not on the level: the same frames at two levels differ by the level alone.

    Args:
        kind: A name of `PERTURBATIONS`.
        level: From 0, no change, to 1, the end of the range.
        frames: uint8 `(n, size, size)`.
        seed: The only source of chance, at least 0.

    Returns:
        uint8 `(n, size, size)`, on the device of `frames`.

    Raises:
        ConfigError: no such kind, or a level outside 0 to 1.

    Examples:
        >>> frames = torch.full((1, 32, 32), 100, dtype=torch.uint8)
        >>> int(perturb("attenuation", 1.0, frames)[0, 31, 15])
        39
    """
    if kind not in PERTURBATIONS:
        remedy = f"Choose one of {', '.join(PERTURBATIONS)}"
        raise ConfigError(f"no perturbation {kind!r}", where="kind", remedy=remedy)
    if not 0 <= level <= 1:
        raise ConfigError(f"the level of {kind} is {level}", where="level", remedy="Levels go from 0 to 1")
    if level == 0 or not len(frames):
        return frames.clone()
    policy = Policy(flip=0, crop=0, acoustic=_POLICY.only(cast("AcousticOperation", kind)))
    # Drawn on the CPU, so that a seed means the same on every device.
    drawn = draw_parameters(policy, len(frames), frames.shape[-1], torch.Generator().manual_seed(seed))
    if drawn.acoustic is None:  # only at strength 0
        return frames.clone()
    values = [_at_level(column, drawn.acoustic[column], kind, level) for column in COLUMNS]
    fixed = replace(drawn, acoustic=AcousticParameters(torch.stack(values, 1)))
    return apply_batched(policy, frames, fixed.to(frames.device)).round().clamp(0, 255).to(torch.uint8)


def _at_level(column: str, drawn: Tensor, kind: str, level: float) -> Tensor:
    """Return a column at a level, `(n,)`: the whole amount, with the sign that was drawn; positions stay as drawn."""
    settings = COLUMNS[column]
    if settings.operation != kind:
        return drawn
    if kind == "time_gain":  # a curve, whose form is drawn
        return drawn * level
    whole = torch.full_like(drawn, level * _POLICY.amount(settings.scale))
    return torch.where(drawn < 0, -whole, whole) if settings.low < 0 else whole
