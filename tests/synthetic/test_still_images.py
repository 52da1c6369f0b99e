from __future__ import annotations

import numpy as np

from heart2heart.synthetic.config import MachineConfig
from heart2heart.synthetic.image_formation import acquire
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.still_images import doppler_spectrum, m_mode_trace


def test_m_mode_trace_shows_walls_that_move_with_the_beat(machine: MachineConfig) -> None:
    rng = np.random.default_rng(0)
    acquisition = acquire("PLAX", SyntheticPatient(heart_rate=60.0), machine, rng)
    strip = m_mode_trace(acquisition, 0.0, 2.0, 120, rng)
    assert strip.shape == (machine.samples, 120)
    assert strip.dtype == np.float32
    first, half, second = (strip[:, at : at + 6].mean(axis=1) for at in (0, 22, 60))
    assert np.corrcoef(first, second)[0, 1] > np.corrcoef(first, half)[0, 1] + 0.05


def test_doppler_spectrum_puts_inflow_above_the_base_line_and_a_leak_below() -> None:
    rng = np.random.default_rng(0)
    above = doppler_spectrum("inflow", 0.9, 1.4, 70.0, 3.0, (100, 200), rng)
    assert float(above[5:40].mean()) > 2 * float(above[60:95].mean())
    below = doppler_spectrum("regurgitation", -4.4, 6.0, 70.0, 3.0, (100, 200), rng)
    assert float(below[60:95].mean()) > 2 * float(below[5:40].mean())


def test_doppler_spectrum_of_inflow_has_two_peaks() -> None:
    strip = doppler_spectrum("inflow", 0.9, 1.4, 60.0, 1.0, (200, 300), np.random.default_rng(0))
    high = strip[:45].sum(axis=0) > 45 * 8  # velocities above 0.76 m/s: E only
    middle = strip[:70].sum(axis=0) > 70 * 12
    assert 0 < high.sum() < middle.sum()
