"""The acoustic policy: what differs between scanners, probes and settings, as plain configuration.

The picture follows the scanner's model: an echo of level `e` dB (0 the strongest, negative below it) is shown at
`255 (1 + e / DISPLAY_RANGE)`. Gain, time gain, attenuation, shadow and speckle are therefore sums in decibels.
Each operation has a range at strength 1 and a probability; `strength` multiplies every range, and 0 changes nothing.

The random parameters of the policy are one row of numbers a frame, 0 where nothing is changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import torch
from pydantic import Field, field_validator
from torch import Tensor

from heart2heart.config import Config

AcousticOperation = Literal[
    "depth", "aspect", "rotation", "sector_angle", "shift",
    "blur", "sharpness", "speckle", "attenuation", "time_gain", "shadow", "haze",
    "gain", "dynamic_range", "black_level", "gamma", "brightness", "contrast",
    "background", "overlay",
]  # fmt: skip

ACOUSTIC_OPERATIONS: tuple[AcousticOperation, ...] = get_args(AcousticOperation)
"""Every acoustic operation, in the order of application."""

ACOUSTIC_GEOMETRY: tuple[AcousticOperation, ...] = ("depth", "aspect", "rotation", "sector_angle", "shift")
FACTORS = frozenset({"depth", "aspect", "sector_angle", "dynamic_range", "gamma", "brightness", "contrast"})
"""Operations whose range is a factor: the value is drawn between 1 / factor and factor, evenly in its logarithm."""

DISPLAY_RANGE = 60.0
"""Decibels from black to white that are assumed for a frame; scanners offer about 40 to 90."""

KNOTS = 8
"""Points of the time-gain curve, evenly spaced over the depth; scanners have about eight sliders."""

DEFAULT_PROBABILITIES: Mapping[str, float] = {
    "depth": 0.8, "aspect": 0.8, "rotation": 0.8, "sector_angle": 0.5, "shift": 0.8,
    "blur": 0.5, "sharpness": 0.3, "speckle": 0.5, "attenuation": 0.2, "time_gain": 0.5, "shadow": 0.2, "haze": 0.2,
    "gain": 0.5, "dynamic_range": 0.3, "black_level": 0.3, "gamma": 0.8, "brightness": 0.3, "contrast": 0.3,
    "background": 0.2, "overlay": 0.2,
}  # fmt: skip
"""How often each operation is applied. Gamma and geometry are frequent, as in the first trial; the rest guessed."""


class AcousticPolicy(Config):
    """Physical changes of a frame, each drawn by itself; docs/results/carry-over.md has the trials.

    Grey-level operations act on lit pixels: black stays black, except for haze inside the sector and for `overlay` and
    `background` outside it. Geometry assumes that the probe is at the top of the frame, in the middle.

    Examples:
        >>> AcousticPolicy(strength=0.5, probabilities={"overlay": 0}).probabilities["overlay"]
        0.0
    """

    strength: float = Field(1.0, ge=0, le=2)
    """Multiplies every range; 0 changes nothing."""
    probabilities: dict[AcousticOperation, float] = Field(default_factory=dict, validate_default=True)
    """Probability of each operation; those that are not named keep their default."""

    depth: float = Field(1.28, ge=1, le=2)
    """Factor of the imaging depth, about the probe. exp(0.25), as in the first trial; Singla et al. (MIDL 2022) zoom
    too."""
    aspect: float = Field(1.16, ge=1, le=2)
    """Factor of the width against the height. exp(0.15), as in the first trial."""
    rotation: float = Field(10.0, ge=0, le=90)
    """Degrees of tilt, both ways, about the middle of the frame. As in the first trial."""
    sector_angle: float = Field(1.2, ge=1, le=2)
    """Factor of the sine of each scan line's angle, which opens or closes the sector. A typical scanner control
    (width); the range is an estimate."""
    shift: float = Field(0.1, ge=0, le=0.5)
    """Share of the side, both ways and both axes. As in the first trial."""

    blur: float = Field(0.04, ge=0, le=0.2)
    """Lateral width (full width at half maximum) of the added point spread, share of the side, at the lower end of the
    picture; it grows from 0 with the depth. Wavelength / aperture is 0.03 for 2.5 MHz and 20 mm; aberration adds."""
    blur_axial: float = Field(0.012, ge=0, le=0.2)
    """Axial width of it, as above. Half of a pulse of two to six periods is 0.6 to 1.8 mm of 15 cm."""
    sharpness: float = Field(1.0, ge=0, le=4)
    """Edge enhancement: this many times the difference from the smoothed frame is added or removed. A typical scanner
    control; removing 1 leaves half of a pixel and half of the mean of its neighbours."""
    speckle: float = Field(2.8, ge=0, le=10)
    """Standard deviation of the added grain, dB. Full speckle has 5.6 dB (20 log10 of a Rayleigh amplitude); half of it
    is added, since frames have their own."""
    attenuation: float = Field(15.0, ge=0, le=60)
    """Loss at the lower end of the picture, dB, linear in depth. Østvik et al. (IEEE TMI 2021) multiply by an
    exponential of the depth. Tissue takes about 0.5 dB/cm/MHz each way, 37 dB at 15 cm and 2.5 MHz; sliders restore
    most."""
    time_gain: float = Field(6.0, ge=0, le=30)
    """Height of each knot of the time-gain curve, dB, both ways. A typical scanner control (sliders); Singla et al.
    (MIDL 2022) vary time gain too."""
    shadow: float = Field(40.0, ge=0, le=60)
    """Loss in a dark wedge along scan lines, dB. Smistad et al. (2018) draw Gaussian shadows; a rib takes all."""
    haze: float = Field(0.3, ge=0, le=1)
    """Brightness of a veil in the near field, share of white. Østvik et al. (IEEE TMI 2021) add a band of Gaussian
    profile at any depth."""

    gain: float = Field(10.0, ge=0, le=60)
    """Gain, dB, both ways. A typical scanner control; 10 dB are 43 grey levels."""
    dynamic_range: float = Field(1.5, ge=1, le=4)
    """Factor of the decibels from black to the frame's white (two standard deviations above its mean lit level), both
    ways: 40 to 90 dB from 60 dB, a typical scanner control."""
    black_level: float = Field(0.15, ge=0, lt=1)
    """Levels below this share of the frame's white are rejected, and the rest is stretched. As in the first trial,
    with a fixed white."""
    gamma: float = Field(2.2, ge=1, le=5)
    """Factor of the exponent of the grey map below the frame's white, both ways. As in the first trial, with a fixed
    white."""
    brightness: float = Field(1.5, ge=1, le=4)
    """Factor of all levels, both ways. 1.8 was in the first trial, without `gain` beside it."""
    contrast: float = Field(1.5, ge=1, le=4)
    """Factor of the distance from the mean lit level, both ways. A typical control of displays; an estimate."""

    background: float = Field(0.25, ge=0, le=1)
    """Brightest level outside the sector, share of white, with a texture. An estimate from screens in use."""
    overlay: float = Field(1.0, ge=0, le=1)
    """Brightness of text-like strokes, calipers, scales and bars outside the sector, share of white: what a shortcut
    would read (`probing` of the evaluation)."""

    @field_validator("probabilities")
    @classmethod
    def _complete(cls, value: dict[str, float]) -> dict[str, float]:
        """Fill in the defaults, so that a resolved configuration records every probability."""
        for name, probability in value.items():
            if not 0 <= probability <= 1:
                raise ValueError(f"the probability of {name} is {probability}, not from 0 to 1")
        return {name: float(value.get(name, default)) for name, default in DEFAULT_PROBABILITIES.items()}

    def amount(self, name: str) -> float:
        """Return the range of an operation at this strength, as it is drawn: the logarithm of a factor.

        Args:
            name: A name of `ACOUSTIC_OPERATIONS`, or `blur_axial`.
        """
        value = float(getattr(self, name))
        return self.strength * (math.log(value) if name in FACTORS else value)

    def draws_any(self, *names: AcousticOperation) -> bool:
        """Return whether an operation of `names` can change a frame."""
        return any(self.amount(name) > 0 and self.probabilities[name] > 0 for name in names)

    @classmethod
    def of(cls, *names: AcousticOperation) -> AcousticPolicy:
        """Return the policy of some operations, each with its default range and probability, and no other.

        Examples:
            >>> AcousticPolicy.of("gain").probabilities["gain"], AcousticPolicy.of("gain").probabilities["haze"]
            (0.5, 0.0)
        """
        return cls(probabilities={name: 0.0 for name in ACOUSTIC_OPERATIONS if name not in names})

    def only(self, name: AcousticOperation) -> AcousticPolicy:
        """Return the policy that applies one operation always, and no other."""
        chances: dict[str, Any] = {other: float(other == name) for other in ACOUSTIC_OPERATIONS}
        return self.model_copy(update={"probabilities": chances})


@dataclass(frozen=True)
class Column:
    """One number that is drawn for each frame, evenly from `low` to `high`.

    Attributes:
        low: Lower end, in units of `scale`.
        high: Upper end, in units of `scale`.
        operation: The operation that it belongs to, whose probability decides whether it is 0; empty: always drawn.
        scale: The range of the policy that it is a multiple of; empty: none.
    """

    low: float
    high: float
    operation: str = ""
    scale: str = ""


def _amount(name: str, low: float = -1.0, high: float = 1.0) -> Column:
    return Column(low, high, operation=name, scale=name)


COLUMNS: Mapping[str, Column] = {
    **{name: _amount(name) for name in ("depth", "aspect", "rotation", "sector_angle")},
    **{f"shift_{axis}": _amount("shift") for axis in "xy"},
    "blur": _amount("blur", 0.0),
    "blur_axial": Column(0.0, 1.0, operation="blur", scale="blur_axial"),
    "sharpness": _amount("sharpness"),
    "speckle": _amount("speckle", 0.0),
    "attenuation": _amount("attenuation", 0.0),
    **{f"time_gain_{knot}": _amount("time_gain") for knot in range(KNOTS)},
    "shadow": _amount("shadow", 0.25),
    "shadow_slope": Column(-0.8, 0.8),
    "shadow_width": Column(0.03, 0.15),
    "shadow_depth": Column(0.0, 0.4),
    "haze": _amount("haze", 0.0),
    "haze_depth": Column(0.0, 0.4),
    "haze_width": Column(0.05, 0.25),
    **{name: _amount(name) for name in ("gain", "dynamic_range", "gamma", "brightness", "contrast")},
    "black_level": _amount("black_level", 0.0),
    "background": _amount("background", 0.1),
    "overlay": _amount("overlay", 0.4),
    "apex": Column(0.0, 0.5),
    **{name: Column(0.0, 1.0) for name in ("grain", "grain_x", "grain_y", "sheet", "sheet_x", "sheet_y")},
}
"""Every number of a frame by name.

Units are those of the policy, and natural logarithms for its factors. `shadow_slope` and `shadow_width` are tangents of
the scan line's angle; `shadow_depth`, `haze_depth` and `haze_width` shares of the side, from the probe. `apex` is the
height of the point where the scan lines meet above the upper edge, share of the side: curved and straight probes have
one far above. `grain` and `sheet` choose textures and where they begin, shares of their number and side.
"""


@dataclass(frozen=True)
class AcousticParameters:
    """What the acoustic policy drew for `n` frames.

    Attributes:
        values: float32 `(n, columns)`, in the order of `COLUMNS`.
    """

    values: Tensor

    def __getitem__(self, name: str) -> Tensor:
        """Return one column, float32 `(n,)`."""
        return self.values[:, _POSITIONS[name]]

    def factor(self, name: str) -> Tensor:
        """Return the factor of a column that holds its logarithm, float32 `(n,)`, rounded alike by every processor."""
        return self[name].double().exp().float()

    def knots(self) -> Tensor:
        """Return the knots of the time-gain curve, dB, float32 `(n, KNOTS)`."""
        first = _POSITIONS["time_gain_0"]
        return self.values[:, first : first + KNOTS]

    def take(self, index: slice | Tensor) -> AcousticParameters:
        """Return the parameters of some of the frames."""
        return AcousticParameters(self.values[index])

    def to(self, device: torch.device | str) -> AcousticParameters:
        """Return the same parameters on another device."""
        return AcousticParameters(self.values.to(device))


_POSITIONS = {name: position for position, name in enumerate(COLUMNS)}


def draw_acoustic(policy: AcousticPolicy, n: int, generator: torch.Generator) -> AcousticParameters:
    """Draw the acoustic parameters of `n` frames, on the generator's device.

    Args:
        policy: What to draw from.
        n: Number of frames.
        generator: The only source of chance.
    """
    device = generator.device
    low, span, operation, probability = _table(policy.model_dump_json(), device)
    uniform = torch.rand(n, len(COLUMNS), generator=generator, device=device)
    applied = torch.rand(n, len(probability), generator=generator, device=device) < probability
    return AcousticParameters((low + uniform * span) * applied[:, operation])


def fixed_parameters(values: Mapping[str, Tensor], n: int) -> AcousticParameters:
    """Return parameters that are 0 but for the named columns, each `(n,)`."""
    columns = [values[name].float() if name in values else torch.zeros(n) for name in COLUMNS]
    return AcousticParameters(torch.stack(columns, 1))


@lru_cache
def _table(policy: str, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return lower end, span and operation of each column and the operations' probabilities; the last is always 1.

    The tensors are kept, since sending them makes the host wait.
    """
    settings = AcousticPolicy.model_validate_json(policy)
    scales = [settings.amount(column.scale) if column.scale else 1.0 for column in COLUMNS.values()]
    ranges = [
        (scale * column.low, scale * (column.high - column.low))
        for scale, column in zip(scales, COLUMNS.values(), strict=True)
    ]
    names = (*ACOUSTIC_OPERATIONS, "")
    operation = [names.index(column.operation) for column in COLUMNS.values()]
    chances = [settings.probabilities[name] for name in ACOUSTIC_OPERATIONS]
    low, span = torch.tensor(ranges, device=device).T
    return low, span, torch.tensor(operation, device=device), torch.tensor([*chances, 2.0], device=device)
