"""The curves of the cardiac cycle and the displacement fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.synthetic.cardiac_motion import (
    END_SYSTOLE,
    ConcentricContraction,
    DisplacementField,
    LongitudinalShortening,
    RadialContraction,
    RegionalTranslation,
    cycle_curve,
    phase_times,
)

NAMES = ("contraction", "mitral", "aortic", "inflow", "outflow", "regurgitation", "atrial", "ecg")


@given(name=st.sampled_from(NAMES), phase=st.floats(0, 1), beats=st.integers(-5, 5))
def test_cycle_curve_repeats_each_beat(name: str, phase: float, beats: int) -> None:
    np.testing.assert_allclose(cycle_curve(name, phase + beats), cycle_curve(name, phase), atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_cycle_curve_stays_in_range(name: str) -> None:
    values = cycle_curve(name, np.linspace(0, 1, 500))
    assert values.max() <= 1.0
    assert values.min() >= (-0.25 if name == "ecg" else 0.0)


def test_cycle_curve_never_opens_both_valves() -> None:
    phase = np.linspace(0, 1, 1000)
    assert float((cycle_curve("mitral", phase) * cycle_curve("aortic", phase)).max()) < 1e-3


def test_cycle_curve_contraction_peaks_when_the_aortic_valve_closes() -> None:
    phase = np.linspace(0, 1, 1000)
    assert 0.3 < phase[cycle_curve("contraction", phase).argmax()] < 0.45


@given(st.floats(0, 1), st.floats(0, 0.99), st.floats(30, 180), st.floats(0, 4))
def test_phase_times_give_a_phase_once_a_beat(phase: float, start: float, rate: float, seconds: float) -> None:
    times = phase_times(phase, start, rate, seconds)
    assert all(-1e-9 <= time <= seconds for time in times)
    assert np.allclose(
        [start + time * rate / 60 - phase for time in times], np.round([start + t * rate / 60 - phase for t in times])
    )
    assert abs(len(times) - seconds * rate / 60) <= 1


def test_cycle_curve_volume_is_smallest_at_end_systole() -> None:
    phases = np.linspace(0, 1, 200, endpoint=False)
    assert cycle_curve("contraction", END_SYSTOLE) == pytest.approx(cycle_curve("contraction", phases).max(), abs=1e-3)


FAR = (np.array([40.0], dtype=np.float32), np.array([40.0], dtype=np.float32))


@pytest.mark.parametrize(
    "motion",
    [
        RadialContraction((0, 3), (0, 10), 2.2, 1.0, 0.3),
        LongitudinalShortening((0, 3), (0, 10), 5.0, 1.3),
        ConcentricContraction((0, 7), 2.2, 1.0, 0.3),
        RegionalTranslation((0, 7), 2.0, (0.5, -0.5)),
    ],
)
def test_displacement_is_small_far_from_the_heart(motion: DisplacementField) -> None:
    assert max(abs(float(part[0])) for part in motion.displacement(*FAR)) < 1e-6


def test_displacement_of_a_round_chamber_comes_from_farther_out() -> None:
    motion = ConcentricContraction((0.0, 7.0), 2.0, 1.0, 0.3)
    contracted = np.array([1.4], dtype=np.float32)
    dx, dz = motion.displacement(contracted, np.array([7.0], dtype=np.float32))
    assert contracted[0] + dx[0] == pytest.approx(2.0, abs=0.02)
    assert dz[0] == pytest.approx(0.0)


def test_displacement_thickens_the_wall() -> None:
    motion = ConcentricContraction((0.0, 7.0), 2.0, 1.0, 0.3)
    x = np.linspace(0, 5, 501, dtype=np.float32)
    came_from = x + motion.displacement(x, np.full_like(x, 7.0))[0]
    wall = (came_from >= 2.0) & (came_from <= 3.0)
    assert float(np.ptp(x[wall])) > 1.2


def test_displacement_moves_the_valve_plane_towards_the_apex_and_keeps_the_apex() -> None:
    motion = LongitudinalShortening((0.0, 3.0), (0.0, 10.0), 5.0, 1.3)
    _, dz = motion.displacement(np.zeros(2, dtype=np.float32), np.array([3.0, 9.5], dtype=np.float32))
    assert dz[0] == pytest.approx(0.0, abs=1e-6)
    assert dz[1] == pytest.approx(1.3 * 6.5 / 7.0, rel=0.01)


def test_displacement_of_radial_contraction_is_symmetric_about_the_axis() -> None:
    motion = RadialContraction((0.0, 3.0), (0.0, 10.0), 2.2, 1.0, 0.3)
    dx, _ = motion.displacement(np.array([-1.5, 1.5], dtype=np.float32), np.full(2, 6.0, dtype=np.float32))
    assert dx[0] == pytest.approx(-dx[1])
    assert dx[1] > 0.3
