from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.simulate.cycle import curve

NAMES = ("contraction", "mitral", "aortic", "inflow", "outflow", "regurgitation", "atrial", "ecg")


@given(name=st.sampled_from(NAMES), phase=st.floats(0, 1), beats=st.integers(-5, 5))
def test_every_curve_repeats_each_beat(name: str, phase: float, beats: int) -> None:
    np.testing.assert_allclose(curve(name, phase + beats), curve(name, phase), atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_curves_stay_in_range(name: str) -> None:
    values = curve(name, np.linspace(0, 1, 500))
    assert values.max() <= 1.0
    assert values.min() >= (-0.25 if name == "ecg" else 0.0)


def test_valves_are_never_open_together() -> None:
    phase = np.linspace(0, 1, 1000)
    assert float((curve("mitral", phase) * curve("aortic", phase)).max()) < 1e-3


def test_contraction_peaks_when_the_aortic_valve_closes() -> None:
    phase = np.linspace(0, 1, 1000)
    assert 0.3 < phase[curve("contraction", phase).argmax()] < 0.45
