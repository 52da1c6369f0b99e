"""Colour Doppler: axial blood velocity inside a box, aliased at the Nyquist limit, painted over the gray picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from heart2heart.synthetic.anatomy.scene import Tissue
from heart2heart.synthetic.cardiac_motion import cycle_curve
from heart2heart.synthetic.image_formation import Acquisition, Floats, form_echo, log_compress, scatterer_indices
from heart2heart.synthetic.scan_conversion import scan_converter

Bytes = npt.NDArray[np.uint8]

_WALL_FILTER = 0.10
_SHADES = 128


@dataclass(frozen=True)
class ColourBox:
    """Part of the sector in which velocity is measured.

    Attributes:
        beams: First and last beam as fractions of the sector.
        samples: First and last sample as fractions of the depth.
        nyquist: Velocity at which aliasing begins, m/s.
    """

    beams: tuple[float, float]
    samples: tuple[float, float]
    nyquist: float

    def mask(self, n_beams: int, n_samples: int) -> npt.NDArray[np.bool_]:
        """Return the box on a grid, bool `(n_beams, n_samples)`."""
        beam, sample = np.linspace(0, 1, n_beams)[:, None], np.linspace(0, 1, n_samples)
        inside: npt.NDArray[np.bool_] = (
            (beam >= self.beams[0])
            & (beam <= self.beams[1])
            & (sample >= self.samples[0])
            & (sample <= self.samples[1])
        )
        return inside


def velocity_colour_map() -> Bytes:
    """Return the usual map of velocity: blue and cyan away from the probe, red and yellow towards it.

    Returns:
        uint8 `(256, 3)`; entry 0 is the Nyquist velocity away, entry 255 that towards.
    """
    strength = np.linspace(0.0, 1.0, _SHADES)
    main = 70 + 185 * np.minimum(strength * 1.6, 1.0)
    second = 235 * np.clip(strength * 1.7 - 0.75, 0.0, 1.0)
    zero = np.zeros(_SHADES)
    towards = np.stack([main, second, zero], axis=1)
    away = np.stack([zero, second, main], axis=1)[::-1]
    return np.concatenate([away, towards]).astype(np.uint8)


def axial_velocity(acquisition: Acquisition, phase: Floats, rng: np.random.Generator) -> Floats:
    """Return the blood's velocity along each beam, m/s, positive towards the probe, float32 `(n, beams, samples)`."""
    x, z = acquisition.grid.points()
    radial_x, radial_z = np.sin(acquisition.grid.angles)[:, None], np.cos(acquisition.grid.angles)[:, None]
    total = np.zeros((len(phase), *x.shape), dtype=np.float32)
    for jet in acquisition.scene.jets:
        axis = np.subtract(jet.end, jet.start)
        length = float(np.hypot(*axis))
        ex, ez = axis / length
        along = ((x - jet.start[0]) * ex + (z - jet.start[1]) * ez) / length
        across = (x - jet.start[0]) * -ez + (z - jet.start[1]) * ex
        width = jet.width * (1.0 + 0.5 * np.clip(along, 0.0, 1.0))
        ends = (
            1.0
            / (1.0 + np.exp(-np.clip(along / 0.06, -30, 30)))
            / (1.0 + np.exp(np.clip((along - 1.0) / 0.12, -30, 30)))
        )
        shape = -jet.speed * (ex * radial_x + ez * radial_z) * ends * np.exp(-0.5 * (across / width) ** 2)
        total += cycle_curve(jet.curve, phase)[:, None, None] * shape.astype(np.float32)
    swirl = gaussian_filter(rng.standard_normal(total.shape, dtype=np.float32), (0.8, 3.0, 5.0))
    grain = gaussian_filter(rng.standard_normal(total.shape, dtype=np.float32), (0.0, 0.8, 1.0))
    total += np.float32(0.07 / swirl.std()) * swirl + np.float32(0.05 / grain.std()) * grain * (
        1 + 2 * total**2
    )  # fast jets are turbulent
    return total


def render_colour(acquisition: Acquisition, phase: Floats, box: ColourBox, rng: np.random.Generator) -> Bytes:
    """Render a colour Doppler clip.

    Args:
        acquisition: The acquisition; its scene holds the jets.
        phase: Phase of each frame, beats, `(n,)`.
        box: Where and up to which velocity.
        rng: Source of randomness.

    Returns:
        RGB uint8 `(n, rows, columns, 3)`.
    """
    machine, grid = acquisition.machine, acquisition.grid
    gray = log_compress(np.abs(form_echo(acquisition, phase, grid, rng)), machine)
    speed = axial_velocity(acquisition, phase, rng)
    blood = acquisition.scatterers.labels.ravel()[scatterer_indices(acquisition, phase, grid)] == Tissue.BLOOD
    shown = blood & (np.abs(speed) > _WALL_FILTER) & box.mask(*gray.shape[1:]) & (gray < 150.0)
    aliased = (speed + box.nyquist) % (2 * box.nyquist) - box.nyquist
    index = np.clip((aliased / box.nyquist * 0.5 + 0.5) * 255.0, 0, 255).astype(np.uint8)
    converter, shape = scan_converter(machine), (machine.rows, machine.columns)
    picture = np.repeat(converter.convert(gray, shape)[..., None], 3, axis=3)
    cover = converter.convert(shown.astype(np.float32) * 255.0, shape)
    paint = velocity_colour_map()[index].astype(np.float32) * shown[..., None]
    solid = cover > 110
    for channel in range(3):
        painted = converter.convert(np.ascontiguousarray(paint[..., channel]), shape).astype(np.float32)
        full = np.minimum(painted[solid] * 255.0 / cover[solid], 255.0)
        picture[..., channel][solid] = full.astype(np.uint8)
    return picture
