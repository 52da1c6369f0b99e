"""Tissue classes, and the scene that an anatomy passes to image formation: label map, motions, leaflets and jets.

The figures are relative backscatter in decibel and one-way attenuation in dB per cm per MHz, of the order that
Szabo, *Diagnostic Ultrasound Imaging* (2nd ed., appendix B) lists for soft tissue, adjusted by eye
beside real pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from heart2heart.synthetic.cardiac_motion import DisplacementField, Point


class Tissue(IntEnum):
    """Label of one point of the imaged plane."""

    SOFT = 0
    BLOOD = 1
    MYOCARDIUM = 2
    PERICARDIUM = 3
    FIBROUS = 4
    ATRIAL_WALL = 5
    LIVER = 6
    CHEST_WALL = 7
    LUNG = 8
    FAT = 9


_BACKSCATTER_DB = {
    Tissue.SOFT: -42.0, Tissue.BLOOD: -76.0, Tissue.MYOCARDIUM: -26.0, Tissue.PERICARDIUM: -13.0, Tissue.FIBROUS: -16.0,
    Tissue.ATRIAL_WALL: -24.0, Tissue.LIVER: -29.0, Tissue.CHEST_WALL: -27.0, Tissue.LUNG: -47.0, Tissue.FAT: -29.0,
}  # fmt: skip

_ATTENUATION = {
    Tissue.SOFT: 0.55, Tissue.BLOOD: 0.15, Tissue.MYOCARDIUM: 0.52, Tissue.PERICARDIUM: 0.9, Tissue.FIBROUS: 0.9,
    Tissue.ATRIAL_WALL: 0.52, Tissue.LIVER: 0.5, Tissue.CHEST_WALL: 0.6, Tissue.LUNG: 1.1, Tissue.FAT: 0.6,
}  # fmt: skip

TissueTable = npt.NDArray[np.float32]


def amplitude_table() -> TissueTable:
    """Return the backscatter amplitude of each tissue, float32 `(n_tissues,)`, 1 for 0 dB."""
    return np.array([10.0 ** (_BACKSCATTER_DB[t] / 20.0) for t in Tissue], dtype=np.float32)


def attenuation_table() -> TissueTable:
    """Return the one-way attenuation of each tissue, dB per cm per MHz, float32 `(n_tissues,)`."""
    return np.array([_ATTENUATION[t] for t in Tissue], dtype=np.float32)


Points = npt.NDArray[np.float64]

CM_PER_CELL = 0.04
HALF_WIDTH_CM = 13.0
DEEPEST_CM = 24.0


@dataclass(frozen=True)
class Pose:
    """Similarity transform from heart coordinates to the picture: x right, z down, probe at the origin, cm.

    Attributes:
        scale: Size factor.
        degrees: Rotation, clockwise on the screen.
        pivot: Point of the heart that the rotation leaves in place.
        shift: Translation after it, cm.
    """

    scale: float = 1.0
    degrees: float = 0.0
    pivot: Point = (0.0, 0.0)
    shift: Point = (0.0, 0.0)

    def points(self, points: npt.ArrayLike) -> Points:
        """Transform points, float64 `(..., 2)`."""
        turn = np.deg2rad(self.degrees)
        matrix = self.scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        moved: Points = (np.asarray(points, dtype=np.float64) - self.pivot) @ matrix.T + self.pivot + self.shift
        return moved

    def point(self, x: float, z: float) -> Point:
        """Transform one point."""
        moved = self.points((x, z))
        return float(moved[0]), float(moved[1])

    def vector(self, x: float, z: float) -> Point:
        """Transform a displacement."""
        moved = self.points((x, z)) - self.points((0.0, 0.0))
        return float(moved[0]), float(moved[1])


@dataclass(frozen=True)
class Leaflet:
    """One valve leaflet as a curve that swings between two positions.

    Attributes:
        closed: Curve when the valve is closed, cm, `(points, 2)`.
        opened: Curve when it is wide open, cm, `(points, 2)`.
        valve: `mitral` or `aortic`, the driving curve.
        shift: Movement of its hinge at end systole, cm.
        echo_db: Strength of its echo.
    """

    closed: Points
    opened: Points
    valve: str
    shift: Point = (0.0, 0.0)
    echo_db: float = -12.0


@dataclass(frozen=True)
class Jet:
    """A stream of blood along a straight line.

    Attributes:
        start: Where it comes from, cm.
        end: Where it goes, cm.
        width: Standard deviation across, cm.
        speed: Peak velocity, metres a second.
        curve: Driving curve of the cycle.
    """

    start: Point
    end: Point
    width: float
    speed: float
    curve: str


@dataclass
class Scene:
    """One plane of one heart at end diastole with all that moves in it.

    Attributes:
        labels: `Tissue` of each cell, uint8 `(cells down, cells across)`, `CM_PER_CELL` apart; the first column lies
            at x = `-HALF_WIDTH_CM`.
        motions: Displacement fields.
        leaflets: Valve leaflets.
        jets: Blood streams.
        landmarks: Named points, cm: chambers and walls, for the sample volume of a Doppler still and for tests.
    """

    labels: npt.NDArray[np.uint8]
    motions: list[DisplacementField] = field(default_factory=list)
    leaflets: list[Leaflet] = field(default_factory=list)
    jets: list[Jet] = field(default_factory=list)
    landmarks: dict[str, Point] = field(default_factory=dict)
