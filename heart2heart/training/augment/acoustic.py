"""The acoustic policy: what differs between scanners, probes and settings, as plain configuration.

The picture follows the scanner's model: an echo of level `e` dB (0 the strongest, negative below it) is shown at
`255 (1 + e / DISPLAY_RANGE)`. Gain, time gain, attenuation, shadow and speckle are therefore sums in decibels.
Each operation has a range at strength 1 and a probability; `strength` multiplies every range, and 0 changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, field_validator

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
"""How often each operation is applied. Gamma and geometry are frequent, as tried in docs/studies; the rest guessed."""


class AcousticPolicy(Config):
    """Physical changes of a frame, each drawn by itself.

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
    """Factor of the imaging depth, about the probe. exp(0.25), as tried in docs/studies; Singla et al. (MIDL 2022) zoom
    too."""
    aspect: float = Field(1.16, ge=1, le=2)
    """Factor of the width against the height. exp(0.15), as tried in docs/studies."""
    rotation: float = Field(10.0, ge=0, le=90)
    """Degrees of tilt, both ways, about the middle of the frame. As tried in docs/studies."""
    sector_angle: float = Field(1.2, ge=1, le=2)
    """Factor of the sine of each scan line's angle, which opens or closes the sector. A typical scanner control
    (width); the range is an estimate."""
    shift: float = Field(0.1, ge=0, le=0.5)
    """Share of the side, both ways and both axes. As tried in docs/studies."""

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
    """Levels below this share of the frame's white are rejected, and the rest is stretched. As tried in docs/studies,
    with a fixed white."""
    gamma: float = Field(2.2, ge=1, le=5)
    """Factor of the exponent of the grey map below the frame's white, both ways. As tried in docs/studies, with a fixed
    white."""
    brightness: float = Field(1.5, ge=1, le=4)
    """Factor of all levels, both ways. 1.8 was tried in docs/studies, without `gain` beside it."""
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

    def only(self, name: AcousticOperation) -> AcousticPolicy:
        """Return the policy that applies one operation always, and no other."""
        chances: dict[str, Any] = {other: float(other == name) for other in ACOUSTIC_OPERATIONS}
        return self.model_copy(update={"probabilities": chances})
