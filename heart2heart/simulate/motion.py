"""Motion of the heart as a sum of fixed displacement fields, each driven by one curve of the cardiac cycle.

A field answers, for a point of the picture at full amplitude, where in the end-diastolic plane that point came from. A
sum of fields times curves costs a few multiplications a sample, and carries walls and their scatterers together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Point = tuple[float, float]


class Motion(Protocol):
    """One displacement field with the curve that drives it."""

    @property
    def curve(self) -> str:
        """Name of the driving curve (see `cycle.curve`)."""

    def field(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return the displacement (cm, x and z) towards end diastole at the points (x, z) for a curve value of 1."""


def _ramp(value: Floats, low: float, high: float) -> Floats:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    smooth: Floats = t * t * (3.0 - 2.0 * t)
    return smooth


def _axial(x: Floats, z: Floats, apex: Point, base: Point) -> tuple[Floats, Floats, Point]:
    """Position along an axis (0 at the apex, 1 at the base), distance to its right (cm), and its direction."""
    ax, az = base[0] - apex[0], base[1] - apex[1]
    length = float(np.hypot(ax, az))
    ex, ez = ax / length, az / length
    dx, dz = x - np.float32(apex[0]), z - np.float32(apex[1])
    along: Floats = ((dx * ex + dz * ez) / length).astype(np.float32)
    across: Floats = (dz * ex - dx * ez).astype(np.float32)
    return along, across, (ex, ez)


def _pull(q: Floats, fraction: float, outer: float) -> Floats:
    """How far, in units of the cavity's radius, a point at `q` radii moved inwards.

    The cavity's content moves along; beyond it the displacement falls to a tenth at `outer`, which thickens the wall.
    """
    inner = 1.0 - fraction
    inside = np.minimum(q / inner, 1.0)
    wall = 1.0 - 0.9 * _ramp(q, inner, outer)
    moved: Floats = (fraction * inside * wall * (1.0 - _ramp(q, outer, outer + 0.9))).astype(np.float32)
    return moved


@dataclass(frozen=True)
class Squeeze:
    """Walls move towards the axis of an elongated chamber.

    Attributes:
        apex: Closed end of the axis, cm.
        base: Valve end of the axis, cm.
        radius: Half width of the cavity at end diastole, cm.
        wall: Thickness of the wall, cm.
        fraction: Fractional shortening of the radius, 0 to 1.
        curve: Driving curve.
    """

    apex: Point
    base: Point
    radius: float
    wall: float
    fraction: float
    curve: str = "contraction"

    def field(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        along, across, (ex, ez) = _axial(x, z, self.apex, self.base)
        window = _ramp(along, -0.12, 0.3) * (1.0 - _ramp(along, 0.85, 1.2))
        away = (np.abs(across) / self.radius).astype(np.float32)
        amount = _pull(away, self.fraction, 1.0 + self.wall / self.radius)
        size = amount * window * self.radius * np.sign(across)
        return (size * -ez).astype(np.float32), (size * ex).astype(np.float32)


@dataclass(frozen=True)
class Shorten:
    """The valve plane moves towards the apex, which stays; behind it the atria stretch, their roof stays.

    Attributes:
        apex: Apex, cm.
        base: Centre of the valve plane, cm.
        reach: Half width across the axis that takes part, cm.
        excursion: Movement of the plane, cm.
        curve: Driving curve.
    """

    apex: Point
    base: Point
    reach: float
    excursion: float
    curve: str = "contraction"

    def field(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        along, across, (ex, ez) = _axial(x, z, self.apex, self.base)
        size = self.excursion * np.clip(along, 0.0, 1.0) * (1.0 - _ramp(along, 0.98, 1.6))
        size = size * (1.0 - _ramp(np.abs(across), 0.75 * self.reach, 1.35 * self.reach))
        return (size * ex).astype(np.float32), (size * ez).astype(np.float32)


@dataclass(frozen=True)
class Shrink:
    """A round chamber contracts towards its centre.

    Attributes:
        centre: Centre, cm.
        radius: Radius of the cavity at end diastole, cm.
        wall: Thickness of the wall, cm.
        fraction: Fractional shortening of the radius, 0 to 1.
        curve: Driving curve.
    """

    centre: Point
    radius: float
    wall: float
    fraction: float
    curve: str = "contraction"

    def field(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        dx, dz = x - self.centre[0], z - self.centre[1]
        rho = np.maximum(np.hypot(dx, dz), 1e-3)
        size = _pull(rho / self.radius, self.fraction, 1.0 + self.wall / self.radius) * self.radius / rho
        return (size * dx).astype(np.float32), (size * dz).astype(np.float32)


@dataclass(frozen=True)
class Shift:
    """A region moves as a whole, fading out around it.

    Attributes:
        centre: Centre of the region, cm.
        radius: Radius at which the movement has faded to 60 %, cm.
        by: Movement at full amplitude (x, z), cm.
        curve: Driving curve.
    """

    centre: Point
    radius: float
    by: Point
    curve: str = "contraction"

    def field(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        near = np.exp(-((x - self.centre[0]) ** 2 + (z - self.centre[1]) ** 2) / (2.0 * self.radius**2))
        return (-self.by[0] * near).astype(np.float32), (-self.by[1] * near).astype(np.float32)
