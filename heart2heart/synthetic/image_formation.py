"""Picture formation: from a plane of moving tissue to a clip of sector pictures.

The chain is the usual fast one: scatterers move with the tissue, a separable point spread is applied in the polar
domain, the envelope is log-compressed, and a precomputed bilinear map turns the polar grid into a sector (Gao et al.
2009, "A fast convolution-based methodology to simulate 2-D/3-D cardiac ultrasound images", IEEE TUFFC 56(2)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.synthetic.anatomy.scene import Leaflet, Scene
from heart2heart.synthetic.anatomy.view_plane import USUAL_DEPTH_CM, ProbePlane, draw_scene
from heart2heart.synthetic.cardiac_motion import cycle_curve
from heart2heart.synthetic.config import MachineConfig
from heart2heart.synthetic.patient import SyntheticPatient, clipped_normal
from heart2heart.synthetic.scan_conversion import PolarGrid, scan_converter
from heart2heart.synthetic.scatterers import (
    OVERSAMPLING,
    ScattererMap,
    build_scatterer_map,
    draw_scatterers,
    point_spread,
)

Floats = npt.NDArray[np.float32]
Field = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class Acquisition:
    """One plane of one patient as one machine images it, before any frame is formed."""

    scene: Scene
    patient: SyntheticPatient
    machine: MachineConfig
    grid: PolarGrid
    depth_cm: float
    scatterers: ScattererMap
    flipped: bool = False


def acquire(
    view: str,
    patient: SyntheticPatient,
    machine: MachineConfig,
    rng: np.random.Generator,
    plane: ProbePlane | None = None,
) -> Acquisition:
    """Hold the probe: draw the plane, choose the depth, place the scatterers.

    Args:
        view: One of `SIMULATED_VIEWS`.
        patient: Whose heart.
        machine: Machine and settings.
        rng: Source of randomness.
        plane: How the probe is held; None draws a plane near the standard one.
    """
    scene = draw_scene(view, patient, rng, plane)
    depth = USUAL_DEPTH_CM[view] * machine.depth_factor * clipped_normal(rng, 1.0, 0.06, 0.87, 1.16) * patient.size
    depth = round(2 * depth) / 2
    grid = PolarGrid.from_machine(machine, depth)
    scatterers = build_scatterer_map(scene, patient, machine, grid, rng)
    return Acquisition(scene, patient, machine, grid, depth, scatterers, plane is not None and plane.flipped)


def displacement(acquisition: Acquisition, phase: Floats, grid: PolarGrid) -> tuple[Floats, Floats]:
    """Return where in the end-diastolic plane each sample's tissue comes from.

    Args:
        acquisition: The acquisition.
        phase: Phase of each frame, beats, `(n,)`.
        grid: Grid to answer on.

    Returns:
        Displacement in beams and in samples of `grid`, float32 `(n, beams, samples)` each.
    """
    x, z = grid.points()
    radius = np.maximum(np.hypot(x, z + grid.face), 0.5)
    sine, cosine = np.sin(grid.angles)[:, None], np.cos(grid.angles)[:, None]
    beams = np.zeros((len(phase), *x.shape), dtype=np.float32)
    samples = np.zeros_like(beams)
    for motion in acquisition.scene.motions:
        dx, dz = motion.displacement(x, z)
        amount = cycle_curve(motion.curve, phase)[:, None, None]
        across = (dx * cosine - dz * sine) / radius / np.float32(grid.beam_step)
        beams += amount * across.astype(np.float32)
        samples += amount * ((dx * sine + dz * cosine) / np.float32(grid.sample_step)).astype(np.float32)
    return beams, samples


def scatterer_indices(acquisition: Acquisition, phase: Floats, grid: PolarGrid) -> npt.NDArray[np.int32]:
    """Return the flat index of the material cell behind each sample, int32 `(n, beams, samples)`."""
    beams, samples = displacement(acquisition, phase, grid)
    fine_beams, fine_samples = acquisition.scatterers.field.shape
    first = (grid.angles - acquisition.grid.angles[0]) / np.float32(acquisition.grid.beam_step)
    beams += first[:, None]
    samples += np.arange(len(grid.radii), dtype=np.float32)
    beam = np.clip((beams * OVERSAMPLING + np.float32(0.5)).astype(np.int32), 0, fine_beams - 1)
    sample = np.clip((samples * OVERSAMPLING + np.float32(0.5)).astype(np.int32), 0, fine_samples - 1)
    return beam * np.int32(fine_samples) + sample


def form_echo(acquisition: Acquisition, phase: Floats, grid: PolarGrid, rng: np.random.Generator) -> Field:
    """Form the complex echo of each frame after the point spread, complex64 `(n, beams, samples)`."""
    machine = acquisition.machine
    echo: Field = acquisition.scatterers.field.ravel()[scatterer_indices(acquisition, phase, grid)]
    echo += _leaflet_echo(acquisition, phase, grid, rng)
    depth = (grid.radii - grid.face) / acquisition.depth_cm
    noise = 10.0 ** ((machine.noise_db + 14.0 * depth) / 20.0)
    patient = acquisition.patient
    haze = 10.0 ** ((machine.clutter_db + patient.haze - 34.0 * depth + 8.0 * (0.5 - patient.quality)) / 20.0)
    haze = haze * (1.0 + _reverberation(grid, patient))
    _add_noise(
        echo, np.hypot(noise, 0.4 * haze).astype(np.float32), rng
    )  # part of the haze flickers, most stands still
    spread = point_spread(machine, grid)
    formed = spread.apply(echo)
    steady = draw_scatterers((len(grid.angles), len(grid.radii)), spread, rng) * haze.astype(np.float32)
    return formed + steady.astype(np.complex64)


def _reverberation(grid: PolarGrid, patient: SyntheticPatient) -> Floats:
    """Bright bands at multiples of the chest wall's depth, relative to the haze there, float32 `(samples,)`."""
    bands = np.zeros(len(grid.radii), dtype=np.float32)
    for order in range(1, 4):
        bands += np.exp(-(((grid.radii - grid.face - order * patient.chest) / 0.14) ** 2)) / order
    return np.float32(5.0 * patient.reverberation) * bands


def _add_noise(echo: Field, level: Floats, rng: np.random.Generator) -> None:
    """Add complex white noise: every frame another window of one bank, which is as good as new and costs a tenth."""
    _, beams, samples = echo.shape
    spare = 64
    bank = rng.standard_normal((beams + spare, samples + spare, 2), dtype=np.float32).view(np.complex64)[..., 0]
    for frame, (b, s) in zip(echo, rng.integers(0, spare, (len(echo), 2)), strict=True):
        frame += bank[b : b + beams, s : s + samples] * level


def _leaflet_echo(acquisition: Acquisition, phase: Floats, grid: PolarGrid, rng: np.random.Generator) -> Field:
    """Echo of the valve leaflets, deposited sample by sample along their moving curves."""
    frames, beams, samples = len(phase), len(grid.angles), len(grid.radii)
    flat = np.zeros(frames * beams * samples, dtype=np.complex64)
    contraction = cycle_curve("contraction", phase)[:, None, None]
    for leaflet in acquisition.scene.leaflets:
        where = _leaflet_points(leaflet, phase, contraction)
        x, z = where[..., 0], where[..., 1] + grid.face
        beam = np.rint((np.arctan2(x, z) - grid.angles[0]) / grid.beam_step).astype(np.int64)
        sample = np.rint((np.hypot(x, z) - grid.radii[0]) / grid.sample_step).astype(np.int64)
        inside = (beam >= 0) & (beam < beams) & (sample >= 0) & (sample < samples)
        turn = np.exp(2j * np.pi * rng.uniform(size=where.shape[1]))
        strength = 10.0 ** (leaflet.echo_db / 20.0) * turn * _beam_reflection(where, x, z)
        index = (np.arange(frames)[:, None] * beams + beam) * samples + sample
        np.add.at(flat, index[inside], strength.astype(np.complex64)[inside])
    return flat.reshape(frames, beams, samples)


def _leaflet_points(leaflet: Leaflet, phase: Floats, contraction: Floats) -> npt.NDArray[np.float64]:
    opening = cycle_curve(leaflet.valve, phase)[:, None, None]
    middle = (1.0 - opening) * leaflet.closed + opening * leaflet.opened + contraction * np.asarray(leaflet.shift)
    second_sheet = middle + np.array([0.03, 0.05])  # gives the leaflet its thickness
    return np.concatenate([middle, second_sheet], axis=1)


def _beam_reflection(
    where: npt.NDArray[np.float64], x: npt.NDArray[np.float64], z: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Share of a leaflet's echo that comes back: all where it faces the beam, a quarter where it lies along it."""
    step = np.gradient(where, axis=1)
    along = np.abs(step[..., 0] * x + step[..., 1] * z) / np.maximum(
        np.hypot(*np.moveaxis(step, -1, 0)) * np.hypot(x, z), 1e-9
    )
    share: npt.NDArray[np.float64] = 1.0 - 0.75 * np.minimum(along, 1.0)
    return share


def log_compress(envelope: Floats, machine: MachineConfig) -> Floats:
    """Log-compress an envelope to gray values 0 to 255, with persistence between frames.

    Args:
        envelope: float32 `(n, beams, samples)`, 1 for 0 dB.
        machine: Gain, dynamic range, gray map, persistence.
    """
    if machine.persistence > 0:
        kept = np.float32(machine.persistence)
        envelope = envelope.copy()
        for now in range(1, len(envelope)):
            envelope[now] *= 1 - kept
            envelope[now] += kept * envelope[now - 1]
    decibel = np.float32(20.0) * np.log10(np.maximum(envelope, np.float32(1e-6)))
    gray = (decibel + np.float32(machine.gain_db + machine.dynamic_range_db)) / np.float32(machine.dynamic_range_db)
    np.clip(gray, 0.0, 1.0, out=gray)
    if machine.gamma != 1.0:
        gray = np.power(gray, np.float32(machine.gamma))
    return gray * np.float32(255.0)


def frame_phases(n_frames: int, frame_rate: float, heart_rate: float, start: float = 0.0) -> Floats:
    """Return the phase of each frame, beats, float32 `(n_frames,)`."""
    return (start + np.arange(n_frames) / frame_rate * heart_rate / 60.0).astype(np.float32)


def render_clip(
    view: str,
    patient: SyntheticPatient,
    machine: MachineConfig,
    n_frames: int,
    rng: np.random.Generator,
    *,
    frame_rate: float = 30.0,
) -> npt.NDArray[np.uint8]:
    """Render one synthetic B-mode clip without overlays.

    Args:
        view: One of `anatomy.plane.SIMULATED_VIEWS`.
        patient: Whose heart.
        machine: With what.
        n_frames: Frames.
        rng: Draws the acquisition.
        frame_rate: Frames a second.

    Returns:
        uint8 `(n_frames, rows, columns)`, black outside the sector.
    """
    acquisition = acquire(view, patient, machine, rng)
    return render_frames(acquisition, frame_phases(n_frames, frame_rate, patient.heart_rate, float(rng.uniform())), rng)


def render_frames(acquisition: Acquisition, phase: Floats, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Render the frames of an acquisition at the given phases, uint8 `(n, rows, columns)`."""
    envelope = np.abs(form_echo(acquisition, phase, acquisition.grid, rng))
    machine = acquisition.machine
    gray = log_compress(envelope, machine)
    if acquisition.flipped:
        gray = np.ascontiguousarray(gray[:, ::-1])
    return scan_converter(machine).convert(gray, (machine.rows, machine.columns))
