"""How the probe was held: the offset of one clip's plane from the standard plane of its view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heart2heart.synthetic.cardiac_motion import Point
from heart2heart.synthetic.patient import SyntheticPatient

_PSAX_LEVELS = ("papillary", "mitral", "aortic", "apical")
_LEVEL_SHARES = (0.55, 0.25, 0.12, 0.08)


@dataclass(frozen=True)
class ProbePlane:
    """Offset of a plane from the standard one.

    Attributes:
        rotation: Rotation of the probe about its axis towards a neighbouring standard plane, as a fraction of the way:
            from A4C towards A2C, from A2C towards A3C (below 0: towards A4C), from A3C towards A2C, from PLAX and PSAX
            towards each other.
        outflow: Tilt from A4C towards A5C, as a fraction of the way; how much of the outflow tract shows.
        foreshortening: Share of the long axis that is lost because the plane misses the apex.
        degrees: Rotation in the picture, clockwise.
        shift: Position of the heart in the picture, cm.
        level: Level of the short axis: `papillary`, `mitral`, `aortic` or `apical`.
        flipped: Whether the picture is mirrored.
    """

    rotation: float = 0.0
    outflow: float = 0.0
    foreshortening: float = 0.0
    degrees: float = 0.0
    shift: Point = (0.0, 0.0)
    level: str = "papillary"
    flipped: bool = False


def draw_probe_plane(
    view: str, patient: SyntheticPatient, rng: np.random.Generator, *, severity: float = 0.0, flipped: float = 0.0
) -> ProbePlane:
    """Draw how the probe was held.

    Args:
        view: Intended view.
        patient: Whose heart; a patient's windows push the probe the same way in every clip.
        rng: Source of randomness.
        severity: Size of the offsets; 0 leaves the standard plane with a little tilt and translation.
        flipped: Share of mirrored clips.
    """
    level = _PSAX_LEVELS[int(rng.choice(len(_PSAX_LEVELS), p=_LEVEL_SHARES))]
    degrees = patient.tilt + float(rng.normal(0.0, 3.5 + 1.5 * severity))
    aside = float(rng.normal(patient.aside, 0.4 + 0.15 * severity))
    deeper = float(rng.normal(0.0, 0.3 + 0.1 * severity)) + 0.55 * (patient.chest - 1.6)
    rotation = float(np.clip(rng.normal(patient.rotation, 0.1) * severity, -0.8, 0.8))
    outflow = float(np.clip(rng.normal(-0.05, 0.18) * severity, 0.0, 0.7))
    if view == "A5C":
        outflow = float(np.clip(1.0 - abs(rng.normal(0.0, 0.2)) * severity, 0.4, 1.0))
    shorter = float(np.clip(abs(rng.normal(0.0, 0.06)) * severity, 0.0, 0.38))
    mirrored = bool(rng.random() < flipped)
    return ProbePlane(rotation, outflow, shorter, degrees, (aside, deeper), level, mirrored)
