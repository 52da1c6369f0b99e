"""Pictures of one line over time: M-mode from the same picture formation, and the spectrum of a Doppler gate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from heart2heart.simulate.cycle import curve
from heart2heart.simulate.render import Acquisition, Floats, compress, form, phases
from heart2heart.simulate.sector import PolarGrid

_BESIDE = 4  # beams on either side of the M-line, for the lateral point spread


def m_mode(taken: Acquisition, angle: float, seconds: float, columns: int, rng: np.random.Generator) -> Floats:
    """Image one beam again and again.

    Args:
        taken: The acquisition.
        angle: Direction of the M-line, radians from the axis.
        seconds: Time that the strip shows.
        columns: Columns of the strip.
        rng: Source of randomness.

    Returns:
        Gray values 0 to 255, float32 `(samples, columns)`, time to the right.
    """
    step = np.float32(taken.grid.beam_step)
    angles = np.float32(angle) + step * np.arange(-_BESIDE, _BESIDE + 1, dtype=np.float32)
    line = PolarGrid(angles.astype(np.float32), taken.grid.radii, taken.grid.face)
    phase = phases(columns, columns / seconds, taken.patient.heart_rate)
    envelope = np.abs(form(taken, phase, line, rng))[:, _BESIDE : _BESIDE + 1]
    still = taken.machine.model_copy(update={"persistence": 0.3})
    gray: Floats = compress(envelope, still)[:, 0].T
    return gray


def spectrum(
    flow: str,
    peak: float,
    scale: float,
    heart_rate: float,
    seconds: float,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> Floats:
    """Return a Doppler spectrum over time.

    Args:
        flow: Driving curve: `inflow`, `outflow` or `regurgitation`.
        peak: Peak velocity, m/s, positive towards the probe.
        scale: Velocity at the top of the strip, m/s; the base line lies in its middle.
        heart_rate: Beats a minute.
        seconds: Time that the strip shows.
        shape: Rows and columns of the strip.
        rng: Source of randomness.

    Returns:
        Gray values 0 to 255, float32 of `shape`.
    """
    rows, columns = shape
    phase = phases(columns, columns / seconds, heart_rate, 0.6)
    jitter = 1.0 + 0.04 * np.sin(2 * np.pi * phase / 4.3)
    centre = (peak * jitter * curve(flow, phase)).astype(np.float32)
    bins = np.linspace(scale, -scale, rows, dtype=np.float32)[:, None]
    # Continuous wave sees every velocity along the line; pulsed wave only those in its gate.
    continuous = flow == "regurgitation"
    spread = np.float32(0.05 * abs(peak)) + 0.10 * np.abs(centre)
    band = np.exp(-0.5 * ((bins - 0.88 * centre) / spread) ** 2)
    ratio = bins / np.where(np.abs(centre) < 0.02, np.inf, centre)
    fill = ((ratio > 0) & (ratio < 1.02)).astype(np.float32) * (0.35 if continuous else 0.05)
    power = np.where(np.abs(centre) < 0.03 * abs(peak), 0.0, band + fill)
    power = power + 0.25 * np.exp(-0.5 * (bins / (0.05 * scale)) ** 2) + 10**-3.3
    power = power * (np.abs(bins) > 0.03 * scale)
    speckled = gaussian_filter(rng.exponential(size=shape) * power, (0.8, 0.7))
    decibel = 10.0 * np.log10(speckled + 1e-6)
    gray: npt.NDArray[np.float32] = np.clip((decibel + 33.0) / 33.0, 0.0, 1.0).astype(np.float32)
    return gray * np.float32(255.0)
