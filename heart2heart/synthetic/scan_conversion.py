"""Geometry of the sector: the polar grid that is imaged, and the map that carries it into the picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from heart2heart.synthetic.config import MachineConfig

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PolarGrid:
    """Beams and samples of one acquisition.

    Attributes:
        angles: Angle of each beam from the axis, radians, float32 `(beams,)`.
        radii: Distance of each sample from the apex of the sector, cm, float32 `(samples,)`.
        face: Distance from that apex to the probe's face, cm.
    """

    angles: Floats
    radii: Floats
    face: float

    @classmethod
    def from_machine(cls, machine: MachineConfig, depth_cm: float) -> PolarGrid:
        """Build the grid of a machine for a depth from the face of `depth_cm`."""
        half = np.deg2rad(machine.sector_degrees) / 2
        face = machine.face * depth_cm
        angles = np.linspace(-half, half, machine.beams, dtype=np.float32)
        return cls(angles, np.linspace(face, face + depth_cm, machine.samples, dtype=np.float32), face)

    def oversampled(self, factor: int) -> PolarGrid:
        """Return a grid with `factor` times as many beams and samples over the same sector."""
        return PolarGrid(_oversample(self.angles, factor), _oversample(self.radii, factor), self.face)

    @property
    def beam_step(self) -> float:
        """Radians between beams."""
        return float(self.angles[-1] - self.angles[0]) / (len(self.angles) - 1)

    @property
    def sample_step(self) -> float:
        """Centimetres between samples."""
        return float(self.radii[-1] - self.radii[0]) / (len(self.radii) - 1)

    def points(self) -> tuple[Floats, Floats]:
        """Return x (right) and z (down from the face), cm, float32 `(beams, samples)` each."""
        x = np.sin(self.angles)[:, None] * self.radii
        z = np.cos(self.angles)[:, None] * self.radii - np.float32(self.face)
        return x.astype(np.float32), z.astype(np.float32)


def _oversample(axis: Floats, factor: int) -> Floats:
    count = (len(axis) - 1) * factor + 1
    return np.linspace(axis[0], axis[-1], count, dtype=np.float32)


@dataclass(frozen=True)
class ScanConverter:
    """Bilinear scan conversion as one sparse matrix, the same for every depth of a machine.

    Attributes:
        matrix: float32 CSR `(pixels inside, beams * samples)`.
        inside: Flat indices of the pixels inside the sector, in row order.
        box: x0, y0, x1, y1 (exclusive) of the sector.
        apex: x, y of the centre of the probe's face, pixels.
        length: Pixels from the face to the deepest point on the axis.
    """

    matrix: sparse.csr_array
    inside: npt.NDArray[np.int64]
    box: tuple[int, int, int, int]
    apex: tuple[float, float]
    length: float

    def spacing_cm(self, depth_cm: float) -> float:
        """Return the size of a pixel, cm, when the sector shows `depth_cm`."""
        return depth_cm / self.length

    def convert(self, polar: Floats, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Carry polar frames into pictures, black outside the sector.

        Args:
            polar: Gray values 0 to 255, float32 `(n, beams, samples)`.
            shape: Rows and columns of the picture.

        Returns:
            uint8 `(n, rows, columns)`.
        """
        count = len(polar)
        values = self.matrix @ np.ascontiguousarray(polar.reshape(count, -1).T)
        picture = np.zeros((count, shape[0] * shape[1]), dtype=np.uint8)
        picture[:, self.inside] = values.astype(np.uint8).T
        return picture.reshape(count, *shape)


_GEOMETRY = ("rows", "columns", "sector_degrees", "top", "bottom", "centre", "face", "beams", "samples")


def scan_converter(machine: MachineConfig) -> ScanConverter:
    """Return the scan conversion of a machine; kept, since clips of one geometry use the same."""
    defaults = MachineConfig.model_construct()
    return _geometry_converter(defaults.model_copy(update={name: getattr(machine, name) for name in _GEOMETRY}))


@lru_cache(maxsize=24)
def _geometry_converter(machine: MachineConfig) -> ScanConverter:
    """Build the scan conversion of a geometry; all other fields of `machine` are the defaults."""
    half = np.deg2rad(machine.sector_degrees) / 2
    face = machine.face
    height = machine.rows - machine.top - machine.bottom
    # In units of the depth the sector is 1 + face - face * cos(half) tall: the arc's ends lie higher than its middle.
    length = min(height / (1.0 + face - face * np.cos(half)), (machine.columns - 8) / (2 * np.sin(half) * (1 + face)))
    centre_x, face_y = machine.columns * machine.centre, machine.top + length * face * (1 - np.cos(half))
    y, x = np.mgrid[0 : machine.rows, 0 : machine.columns]
    across, down = (x - centre_x) / length, (y - face_y) / length + face
    radius, angle = np.hypot(across, down), np.arctan2(across, down)
    beam = (angle + half) / (2 * half) * (machine.beams - 1)
    sample = (radius - face) * (machine.samples - 1)
    mask = (beam >= 0) & (beam <= machine.beams - 1) & (sample >= 0) & (sample <= machine.samples - 1)
    inside = np.flatnonzero(mask)
    beam, sample = beam.ravel()[inside], sample.ravel()[inside]
    b0 = np.minimum(beam.astype(np.int64), machine.beams - 2)
    s0 = np.minimum(sample.astype(np.int64), machine.samples - 2)
    fb, fs = beam - b0, sample - s0
    weights = np.stack([(1 - fb) * (1 - fs), (1 - fb) * fs, fb * (1 - fs), fb * fs], axis=1).astype(np.float32)
    first = b0 * machine.samples + s0
    columns = np.stack([first, first + 1, first + machine.samples, first + machine.samples + 1], axis=1)
    rows = np.arange(len(inside) + 1, dtype=np.int32) * 4
    size = (len(inside), machine.beams * machine.samples)
    matrix = sparse.csr_array((weights.ravel(), columns.ravel().astype(np.int32), rows), shape=size)
    ys, xs = np.nonzero(mask)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    return ScanConverter(matrix, inside, box, (float(centre_x), float(face_y)), float(length))
