"""The cardiac cycle and the tissue displacement that it drives.

Phase 0 is the R wave of the ECG. Timings are those of a Wiggers diagram at rest: the aortic valve is open from 0.06 to
0.37 of the beat, then follow relaxation, early filling (E), diastasis and the atrial kick (A). Motion is a sum of fixed
displacement fields, each driven by one curve of the cycle. A field maps a point of the picture at full amplitude to the
place in the end-diastolic plane where that point came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float32]

_KNOTS: dict[str, tuple[tuple[float, float], ...]] = {
    # Contraction of the ventricles: 0 at end diastole, 1 at end systole.
    "contraction": (
        (0.0, 0.0), (0.05, 0.04), (0.12, 0.38), (0.22, 0.80), (0.33, 0.99), (0.38, 1.0), (0.44, 0.93),
        (0.53, 0.48), (0.60, 0.27), (0.70, 0.22), (0.82, 0.20), (0.90, 0.07), (0.96, 0.0), (1.0, 0.0),
    ),
    "mitral": (
        (0.0, 0.0), (0.42, 0.0), (0.47, 0.55), (0.52, 1.0), (0.58, 0.8), (0.66, 0.38), (0.76, 0.30),
        (0.83, 0.42), (0.88, 0.78), (0.94, 0.35), (0.98, 0.0), (1.0, 0.0),
    ),
    "aortic": ((0.0, 0.0), (0.05, 0.0), (0.085, 1.0), (0.2, 0.97), (0.32, 0.85), (0.375, 0.0), (1.0, 0.0)),
    "inflow": (
        (0.0, 0.0), (0.43, 0.0), (0.48, 0.5), (0.53, 1.0), (0.60, 0.55), (0.68, 0.12), (0.80, 0.10),
        (0.85, 0.45), (0.89, 0.72), (0.94, 0.30), (0.98, 0.0), (1.0, 0.0),
    ),
    "outflow": ((0.0, 0.0), (0.05, 0.0), (0.10, 0.65), (0.16, 1.0), (0.25, 0.75), (0.33, 0.3), (0.38, 0.0), (1.0, 0.0)),
    "regurgitation": ((0.0, 0.2), (0.04, 0.8), (0.15, 1.0), (0.33, 0.85), (0.41, 0.0), (0.97, 0.0), (1.0, 0.2)),
    "atrial": ((0.0, 0.3), (0.1, 0.0), (0.8, 0.0), (0.9, 0.9), (0.95, 1.0), (1.0, 0.3)),
    "ecg": (
        (0.0, 1.0), (0.015, 0.25), (0.03, -0.22), (0.05, 0.0), (0.2, 0.03), (0.28, 0.2), (0.33, 0.26), (0.38, 0.18),
        (0.45, 0.0), (0.78, 0.0), (0.83, 0.12), (0.88, 0.0), (0.96, 0.0), (0.98, -0.1), (1.0, 1.0),
    ),
}  # fmt: skip

END_SYSTOLE = 0.38
"""Phase at which the ventricles are smallest."""

_STEPS = 1024


@lru_cache(maxsize=len(_KNOTS))
def _sampled_curve(name: str) -> Curve:
    from scipy.interpolate import PchipInterpolator

    phases, values = zip(*_KNOTS[name], strict=True)
    return np.asarray(PchipInterpolator(phases, values)(np.linspace(0.0, 1.0, _STEPS + 1)), dtype=np.float32)


def phase_times(phase: float, start: float, heart_rate: float, seconds: float) -> list[float]:
    """Return the times at which a clip passes through `phase`, seconds from its first frame.

    Args:
        phase: Phase in beats, 0 for the R wave.
        start: Phase of the first frame, beats.
        heart_rate: Beats a minute.
        seconds: Time of the last frame.
    """
    beat = 60.0 / heart_rate
    first = math.ceil(start - phase)
    times = (beat * (first + index + phase - start) for index in range(math.ceil(seconds / beat) + 1))
    return [time for time in times if time <= seconds]


def cycle_curve(name: str, phase: npt.ArrayLike) -> Curve:
    """Return the value of one curve of the cycle.

    Args:
        name: `contraction`, `mitral`, `aortic` (openings), `inflow`, `outflow`, `regurgitation` (velocities), `atrial`
            or `ecg`.
        phase: Phase in beats, any shape; only the fractional part counts.

    Returns:
        float32 of the shape of `phase`; between 0 and 1, but for the ECG, which goes below the line.
    """
    beats = np.asarray(phase, dtype=np.float64)
    grid = np.linspace(0.0, 1.0, _STEPS + 1)
    return np.interp(beats - np.floor(beats), grid, _sampled_curve(name)).astype(np.float32)


Floats = npt.NDArray[np.float32]
Point = tuple[float, float]


class DisplacementField(Protocol):
    """One displacement field with the curve that drives it."""

    @property
    def curve(self) -> str:
        """Name of the driving curve (see `cycle.curve`)."""

    def displacement(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return the displacement (cm, x and z) towards end diastole at the points (x, z) for a curve value of 1."""


def _smoothstep(value: Floats, low: float, high: float) -> Floats:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    smooth: Floats = t * t * (3.0 - 2.0 * t)
    return smooth


def _axis_coordinates(x: Floats, z: Floats, apex: Point, base: Point) -> tuple[Floats, Floats, Point]:
    """Position along an axis (0 at the apex, 1 at the base), distance to its right (cm), and its direction."""
    ax, az = base[0] - apex[0], base[1] - apex[1]
    length = float(np.hypot(ax, az))
    ex, ez = ax / length, az / length
    dx, dz = x - np.float32(apex[0]), z - np.float32(apex[1])
    along: Floats = ((dx * ex + dz * ez) / length).astype(np.float32)
    across: Floats = (dz * ex - dx * ez).astype(np.float32)
    return along, across, (ex, ez)


def _inward_displacement(q: Floats, fraction: float, outer: float) -> Floats:
    """How far, in units of the cavity's radius, a point at `q` radii moved inwards.

    The cavity's content moves along; beyond it the displacement falls to a tenth at `outer`, which thickens the wall.
    """
    inner = 1.0 - fraction
    inside = np.minimum(q / inner, 1.0)
    wall = 1.0 - 0.9 * _smoothstep(q, inner, outer)
    moved: Floats = (fraction * inside * wall * (1.0 - _smoothstep(q, outer, outer + 0.9))).astype(np.float32)
    return moved


@dataclass(frozen=True)
class RadialContraction:
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

    def displacement(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        along, across, (ex, ez) = _axis_coordinates(x, z, self.apex, self.base)
        window = _smoothstep(along, -0.12, 0.3) * (1.0 - _smoothstep(along, 0.85, 1.2))
        away = (np.abs(across) / self.radius).astype(np.float32)
        amount = _inward_displacement(away, self.fraction, 1.0 + self.wall / self.radius)
        size = amount * window * self.radius * np.sign(across)
        return (size * -ez).astype(np.float32), (size * ex).astype(np.float32)


@dataclass(frozen=True)
class LongitudinalShortening:
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

    def displacement(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        along, across, (ex, ez) = _axis_coordinates(x, z, self.apex, self.base)
        size = self.excursion * np.clip(along, 0.0, 1.0) * (1.0 - _smoothstep(along, 0.98, 1.6))
        size = size * (1.0 - _smoothstep(np.abs(across), 0.75 * self.reach, 1.35 * self.reach))
        return (size * ex).astype(np.float32), (size * ez).astype(np.float32)


@dataclass(frozen=True)
class ConcentricContraction:
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

    def displacement(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        dx, dz = x - self.centre[0], z - self.centre[1]
        rho = np.maximum(np.hypot(dx, dz), 1e-3)
        size = _inward_displacement(rho / self.radius, self.fraction, 1.0 + self.wall / self.radius) * self.radius / rho
        return (size * dx).astype(np.float32), (size * dz).astype(np.float32)


@dataclass(frozen=True)
class RegionalTranslation:
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

    def displacement(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """See `Motion.field`."""
        near = np.exp(-((x - self.centre[0]) ** 2 + (z - self.centre[1]) ** 2) / (2.0 * self.radius**2))
        return (-self.by[0] * near).astype(np.float32), (-self.by[1] * near).astype(np.float32)
