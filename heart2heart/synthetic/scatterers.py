"""Scatterers of one acquisition, and the point spread that turns them into a speckled echo.

The point spread is applied in the polar domain. It is wider across the beam away from the focus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d, uniform_filter

from heart2heart.synthetic.anatomy.scene import (
    CM_PER_CELL,
    HALF_WIDTH_CM,
    Scene,
    Tissue,
    amplitude_table,
    attenuation_table,
)
from heart2heart.synthetic.config import MachineConfig
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.scan_conversion import PolarGrid

Floats = npt.NDArray[np.float32]
ComplexField = npt.NDArray[np.complex64]

FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True)
class PointSpread:
    """Separable Gaussian point spread of a grid.

    Attributes:
        axial: Standard deviation along the beam, samples.
        lateral: Standard deviation across the beam at each depth, beams, float32 `(samples,)`.
    """

    axial: float
    lateral: Floats

    def apply(self, field: ComplexField) -> ComplexField:
        """Blur a complex echo field; a field of uncorrelated unit scatterers keeps its mean power at every depth.

        Args:
            field: complex64 `(n, beams, samples)`.

        Returns:
            complex64 of the same shape; beyond the borders nothing scatters.
        """
        reach = int(np.ceil(2.2 * float(self.lateral.max())))
        across = _gaussian_taps(self.lateral, reach)
        along = _gaussian_taps(np.array([self.axial], dtype=np.float32), max(1, int(np.ceil(2.2 * self.axial))))[:, 0]
        blurred, half, scratch = np.empty_like(field), np.empty_like(field[0]), np.empty_like(field[0])
        for frame, out in zip(field, blurred, strict=True):  # one frame at a time stays in the cache
            _convolve_lateral(frame, across, half, scratch)
            _convolve_axial(half, along, out, scratch)
        return blurred


def _gaussian_taps(sigma: Floats, reach: int) -> Floats:
    """Gaussian taps of unit energy, float32 `(2 * reach + 1, len(sigma))`."""
    offset = np.arange(-reach, reach + 1, dtype=np.float32)[:, None]
    taps = np.exp(-0.5 * (offset / sigma) ** 2)
    normal: Floats = (taps / np.sqrt((taps**2).sum(axis=0))).astype(np.float32)
    return normal


def _convolve_lateral(frame: ComplexField, taps: Floats, out: ComplexField, scratch: ComplexField) -> None:
    reach = len(taps) // 2
    np.multiply(frame, taps[reach], out=out)
    for step in range(1, reach + 1):
        np.multiply(frame, taps[reach + step], out=scratch)
        out[step:] += scratch[:-step]
        out[:-step] += scratch[step:]


def _convolve_axial(frame: ComplexField, taps: Floats, out: ComplexField, scratch: ComplexField) -> None:
    reach = len(taps) // 2
    np.multiply(frame, taps[reach], out=out)
    for step in range(1, reach + 1):
        np.multiply(frame, taps[reach + step], out=scratch)
        out[:, step:] += scratch[:, :-step]
        out[:, :-step] += scratch[:, step:]


OVERSAMPLING = 2
"""The material grid is finer than the imaged one by this, so that a scatterer may be looked up in its nearest cell."""

_PATCHES = ((7, 15), (17, 31))  # beams by samples, 0.5 to 2 cm each: places where tissue scatters more or less

_PREBLUR = 0.55
"""Variance, in units of the point spread's, by which scatterers are smoothed before they move: a look-up of the nearest
cell would otherwise make them jump. Speckle is a quarter wider for it than a leaflet's point spread."""


@dataclass(frozen=True)
class ScattererMap:
    """Scatterers of one acquisition in end-diastolic coordinates.

    Attributes:
        field: Complex echo of each cell, complex64 `(beams', samples')`, `OVERSAMPLING` times finer than the grid.
        labels: Tissue of each cell, uint8 of that shape.
    """

    field: ComplexField
    labels: npt.NDArray[np.uint8]


def point_spread(machine: MachineConfig, grid: PolarGrid) -> PointSpread:
    """Return the point spread of a machine on a grid: narrowest at the focus, wider nearer and farther."""
    at_focus = np.deg2rad(machine.beam_width_degrees) / FWHM_PER_SIGMA / grid.beam_step
    reached = (grid.radii - grid.face) / (grid.radii[-1] - grid.face)
    away = np.where(reached < machine.focus, 1.1 * (machine.focus - reached), 0.75 * (reached - machine.focus))
    lateral = at_focus * np.sqrt(1.0 + (away / 0.45) ** 2)
    axial = machine.pulse_mm / 10.0 / FWHM_PER_SIGMA / grid.sample_step
    return PointSpread(float(axial), lateral.astype(np.float32))


def draw_scatterers(shape: tuple[int, int], spread: PointSpread, rng: np.random.Generator) -> ComplexField:
    """Draw fully developed scattering of unit mean power, smooth enough to be moved by nearest cells.

    Args:
        shape: Beams and samples of the material grid.
        spread: Point spread on the imaged grid, in whose units the field is smoothed.
        rng: Source of randomness.
    """
    noise = rng.standard_normal((2, *shape), dtype=np.float32)
    lateral = float(np.sqrt(_PREBLUR)) * OVERSAMPLING * float(np.median(spread.lateral))
    axial = float(np.sqrt(_PREBLUR)) * OVERSAMPLING * spread.axial
    noise = gaussian_filter1d(gaussian_filter1d(noise, axial, axis=2, truncate=3.0), lateral, axis=1, truncate=3.0)
    noise /= noise.std() * np.float32(np.sqrt(2.0))
    field: ComplexField = (noise[0] + 1j * noise[1]).astype(np.complex64)
    return field


def build_scatterer_map(
    scene: Scene, patient: SyntheticPatient, machine: MachineConfig, grid: PolarGrid, rng: np.random.Generator
) -> ScattererMap:
    """Give every cell of the material grid its echo.

    Interfaces across the beam reflect like mirrors and so are brighter than those along it; blood attenuates less than
    tissue, so what lies behind a chamber is enhanced; poor contact and lung take single beams away.
    """
    fine = grid.oversampled(OVERSAMPLING)
    labels = _tissue_labels(scene, patient, fine)
    spread = point_spread(machine, grid)
    echo = _specular_reflection(amplitude_table()[labels], labels, fine, patient)
    patchy = np.zeros_like(echo)
    for shape in _PATCHES:
        coarse = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        patchy += np.asarray(coarse.resize((echo.shape[1], echo.shape[0]), Image.Resampling.BICUBIC))
    patchy *= np.float32(4.5 + 2.0 * (1.0 - patient.quality)) / patchy.std()
    patchy -= _lost_segments(patchy.shape, patient, rng)
    layers = gaussian_filter1d(rng.standard_normal(echo.shape[1], dtype=np.float32), 3.0)
    patchy += 7.0 * layers / layers.std() * np.exp(-(((fine.radii - fine.face) / np.float32(patient.chest)) ** 2))
    echo = echo * np.power(np.float32(10.0), patchy / 20.0)
    transmission = _transmission(labels, patient, machine, fine, rng)
    field = draw_scatterers((len(fine.angles), len(fine.radii)), spread, rng) * (echo * transmission)
    return ScattererMap(field.astype(np.complex64), labels)


_COARSE = (24, 48)  # beams by samples of the map of lost segments: they are centimetres wide


def _lost_segments(shape: tuple[int, ...], patient: SyntheticPatient, rng: np.random.Generator) -> Floats:
    """Draw the loss of the segments that the window loses, dB, float32 of `shape`."""
    beams, samples = np.linspace(-1, 1, _COARSE[0])[:, None], np.linspace(0, 1, _COARSE[1])
    loss = np.zeros(_COARSE)
    for _ in range(int(rng.poisson(patient.dropout))):
        beam, sample = rng.uniform(-1.0, 1.0), rng.uniform(0.2, 1.0)
        wide, tall = rng.uniform(0.1, 0.35), rng.uniform(0.06, 0.2)
        loss += rng.uniform(8.0, 22.0) * np.exp(-(((beams - beam) / wide) ** 2) - ((samples - sample) / tall) ** 2)
    coarse = Image.fromarray(loss.astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _tissue_labels(scene: Scene, patient: SyntheticPatient, fine: PolarGrid) -> npt.NDArray[np.uint8]:
    x, z = fine.points()
    height, width = scene.labels.shape
    column = np.clip(((x + np.float32(HALF_WIDTH_CM)) / np.float32(CM_PER_CELL)).astype(np.int32), 0, width - 1)
    row = np.clip((z / np.float32(CM_PER_CELL)).astype(np.int32), 0, height - 1)
    labels: npt.NDArray[np.uint8] = scene.labels[row, column]
    depth = fine.radii - fine.face
    labels[:, depth < 0.55 * patient.chest] = Tissue.CHEST_WALL
    near = (depth >= 0.55 * patient.chest) & (depth < patient.chest)
    labels[:, near] = np.where(labels[:, near] == Tissue.SOFT, Tissue.FAT, labels[:, near])
    return labels


def _specular_reflection(
    echo: Floats, labels: npt.NDArray[np.uint8], fine: PolarGrid, patient: SyntheticPatient
) -> Floats:
    """Let surfaces that face the beam shine, and walls along the beam fade.

    A surface's direction is the gradient of the blurred blood pool; its mirror part the axial gradient of the echo.
    """
    millimetre = 0.1 / fine.sample_step
    blood = (labels == Tissue.BLOOD).astype(np.float32)
    for _ in range(2):  # two boxes come near a Gaussian of 3.5 mm, at a fraction of its cost
        blood = uniform_filter(blood, (6, round(8.6 * millimetre)))
    axial = np.gradient(blood, axis=1) / np.float32(fine.sample_step)
    across = np.gradient(blood, axis=0) / (np.float32(fine.beam_step) * np.maximum(fine.radii, 1.0))
    facing = axial**2 / (axial**2 + across**2 + np.float32(1e-4))
    fading = np.zeros(len(Tissue), dtype=np.float32)
    weak = 1.0 + 0.8 * (1.0 - patient.quality)
    fading[[Tissue.PERICARDIUM, Tissue.FIBROUS, Tissue.ATRIAL_WALL, Tissue.MYOCARDIUM]] = (
        np.array([14.0, 7.0, 7.0, 4.5]) * weak
    )
    echo = echo * np.power(np.float32(10.0), -fading[labels] * (1.0 - facing) / np.float32(20.0))
    smooth = gaussian_filter(echo, (1.6, 1.0))
    edge = np.abs(np.gradient(smooth, axis=1)) / np.float32(fine.sample_step)
    shining: Floats = smooth + np.float32(0.05) * np.minimum(edge, 4.0)
    return shining


def _transmission(
    labels: npt.NDArray[np.uint8],
    patient: SyntheticPatient,
    machine: MachineConfig,
    fine: PolarGrid,
    rng: np.random.Generator,
) -> Floats:
    """Attenuation along each beam, less what the time-gain compensation restores, times the acoustic window."""
    loss = 2.0 * machine.megahertz * fine.sample_step * np.cumsum(attenuation_table()[labels], axis=1, dtype=np.float32)
    depth = fine.radii - fine.face
    average = 2.0 * machine.megahertz * 0.36 * depth
    relative = np.clip(0.35 * (average - loss), -30.0, 7.0) + machine.tgc_db * depth / depth[-1]
    if machine.slider_db > 0:  # eight sliders, as on a console
        sliders = rng.normal(0.0, machine.slider_db, 8)
        relative = relative + np.interp(depth / depth[-1], np.linspace(0.0, 1.0, 8), sliders).astype(np.float32)
    beams = np.linspace(-1.0, 1.0, len(fine.angles), dtype=np.float32)
    window = -(4.0 + 16.0 * (1.0 - patient.quality)) * np.clip((np.abs(beams) - 0.62) / 0.38, 0.0, 1.0) ** 1.5
    for _ in range(rng.poisson(0.6 + 1.8 * (1.0 - patient.quality))):
        centre, width = rng.uniform(-1.0, 1.0), rng.uniform(0.05, 0.16)
        window = window - rng.uniform(3.0, 6.0 + 12.0 * (1.0 - patient.quality)) * np.exp(
            -(((beams - centre) / width) ** 2)
        )
    for centre, width, lost in patient.ribs:
        window = window - lost * np.exp(-(((beams - centre - rng.normal(0.0, 0.08)) / width) ** 2))
    starts = np.clip(depth / 4.0, 0.0, 1.0)
    total: Floats = np.power(10.0, (relative + window[:, None] * starts) / 20.0).astype(np.float32)
    return total
