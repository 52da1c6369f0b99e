"""Tissue classes, the scene that an anatomy passes to image formation, and the canvas that paints its label map."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

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
    """Transform from heart coordinates to the picture: x right, z down, probe at the origin, cm.

    Attributes:
        scale: Size factor.
        degrees: Rotation, clockwise on the screen.
        pivot: Point of the heart that the rotation leaves in place.
        shift: Translation after it, cm.
        stretch: Factors across and down in heart coordinates, before the rotation.
    """

    scale: float = 1.0
    degrees: float = 0.0
    pivot: Point = (0.0, 0.0)
    shift: Point = (0.0, 0.0)
    stretch: Point = (1.0, 1.0)

    def points(self, points: npt.ArrayLike) -> Points:
        """Transform points, float64 `(..., 2)`."""
        turn = np.deg2rad(self.degrees)
        matrix = self.scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        moved: Points = (
            ((np.asarray(points, dtype=np.float64) - self.pivot) * self.stretch) @ matrix.T + self.pivot + self.shift
        )
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


class Canvas:
    """A plane to paint in heart coordinates, seen through a pose.

    Args:
        pose: Where the heart lies in the picture.
        rng: Draws the irregularity of contours.
        roughness: Its size, 1 for about half a millimetre.
    """

    def __init__(self, pose: Pose, rng: np.random.Generator, roughness: float = 1.0) -> None:
        width, height = round(2 * HALF_WIDTH_CM / CM_PER_CELL), round(DEEPEST_CM / CM_PER_CELL)
        self.pose = pose
        self._rng = rng
        self._roughness = roughness
        self._image = Image.new("L", (width, height), int(Tissue.SOFT))
        self._draw = ImageDraw.Draw(self._image)

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return the painted labels, uint8 `(cells down, cells across)`."""
        return np.asarray(self._image, dtype=np.uint8)

    def _cells(self, points: Points) -> list[tuple[float, float]]:
        return [((x + HALF_WIDTH_CM) / CM_PER_CELL, z / CM_PER_CELL) for x, z in self.pose.points(points)]

    def polygon(self, points: npt.ArrayLike, tissue: Tissue, *, rough: float = 0.0) -> None:
        """Fill a closed polygon, its points moved along a smooth random wave of about `rough` cm."""
        outline = np.asarray(points, dtype=np.float64)
        if rough > 0:
            outline = outline + self._wave(len(outline)) * rough * self._roughness
        self._draw.polygon(self._cells(outline), fill=int(tissue))

    def _wave(self, count: int) -> Points:
        turn = np.linspace(0.0, 2 * np.pi, count, endpoint=False)[:, None]
        wave = np.zeros((count, 2))
        for order in range(2, 9):
            phase = self._rng.uniform(0, 2 * np.pi, (1, 2))
            wave += self._rng.normal(size=(1, 2)) / np.sqrt(order) * np.sin(order * turn + phase)
        return 0.5 * wave

    def line(self, points: npt.ArrayLike, tissue: Tissue, thickness: float) -> None:
        """Draw an open line of `thickness` cm."""
        width = max(1, round(thickness * self.pose.scale / CM_PER_CELL))
        self._draw.line(self._cells(np.asarray(points, dtype=np.float64)), fill=int(tissue), width=width, joint="curve")

    def ellipse(
        self, centre: npt.ArrayLike, axes: npt.ArrayLike, tissue: Tissue, *, degrees: float = 0.0, rough: float = 0.0
    ) -> None:
        """Fill an ellipse of half axes `axes` cm, turned clockwise by `degrees`."""
        self.polygon(ellipse(centre, axes, degrees), tissue, rough=rough)


def ellipse(centre: npt.ArrayLike, axes: npt.ArrayLike, degrees: float = 0.0) -> Points:
    """Return the outline of an ellipse, `(72, 2)`, cm."""
    turn = np.linspace(0.0, 2 * np.pi, 72, endpoint=False)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    flat = np.stack([np.cos(turn), np.sin(turn)], axis=1) * np.asarray(axes, dtype=np.float64)
    outline: Points = flat @ np.array([[c, s], [-s, c]]) + np.asarray(centre, dtype=np.float64)
    return outline


def ventricle(apex: Points, base: Points, radius: float, *, widest: float = 0.6, mouth: float = 0.8) -> Points:
    """Return the outline of a bullet-shaped chamber from the base round the apex and back, `(81, 2)`, cm.

    Args:
        apex: Closed end, `(2,)`.
        base: Centre of the open end, `(2,)`.
        radius: Half width where it is widest.
        widest: Where that is, as a fraction of the way from the apex.
        mouth: Half width of the open end in units of `radius`.
    """
    s = np.sin(np.linspace(0.0, np.pi / 2, 41)) ** 2
    half = np.where(
        s < widest,
        np.sqrt(np.clip(1.0 - ((widest - s) / widest) ** 2, 0.0, 1.0)),
        1.0 - (1.0 - mouth) * ((s - widest) / (1.0 - widest)) ** 2,
    )
    axis = base - apex
    normal = np.array([-axis[1], axis[0]]) / np.hypot(*axis)
    spine = apex + s[:, None] * axis
    left, right = spine + radius * half[:, None] * normal, spine - radius * half[:, None] * normal
    return np.concatenate([left[::-1], right[1:]])


def tube(start: Points, end: Points, radius: float, *, bulge: float = 0.0) -> Points:
    """Return the outline `(82, 2)` of a vessel, wider by `bulge` cm a third of the way (the sinus)."""
    s = np.linspace(0.0, 1.0, 41)[:, None]
    axis = end - start
    normal = np.array([-axis[1], axis[0]]) / np.hypot(*axis)
    half = radius + bulge * np.exp(-((s - 0.33) ** 2) / 0.03)
    spine = start + s * axis
    return np.concatenate([spine + half * normal, (spine - half * normal)[::-1]])


def curve_through(start: npt.ArrayLike, middle: npt.ArrayLike, end: npt.ArrayLike, count: int = 28) -> Points:
    """Return a quadratic Bezier curve, `(count, 2)`."""
    s = np.linspace(0.0, 1.0, count)[:, None]
    curve: Points = (1 - s) ** 2 * np.asarray(start) + 2 * s * (1 - s) * np.asarray(middle) + s**2 * np.asarray(end)
    return curve
