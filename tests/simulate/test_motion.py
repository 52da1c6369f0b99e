from __future__ import annotations

import numpy as np
import pytest

from heart2heart.simulate.motion import Motion, Shift, Shorten, Shrink, Squeeze

FAR = (np.array([40.0], dtype=np.float32), np.array([40.0], dtype=np.float32))


@pytest.mark.parametrize(
    "motion",
    [
        Squeeze((0, 3), (0, 10), 2.2, 1.0, 0.3),
        Shorten((0, 3), (0, 10), 5.0, 1.3),
        Shrink((0, 7), 2.2, 1.0, 0.3),
        Shift((0, 7), 2.0, (0.5, -0.5)),
    ],
)
def test_nothing_moves_far_from_the_heart(motion: Motion) -> None:
    assert max(abs(float(part[0])) for part in motion.field(*FAR)) < 1e-6


def test_the_wall_of_a_round_chamber_came_from_farther_out() -> None:
    motion = Shrink((0.0, 7.0), 2.0, 1.0, 0.3)
    contracted = np.array([1.4], dtype=np.float32)
    dx, dz = motion.field(contracted, np.array([7.0], dtype=np.float32))
    assert contracted[0] + dx[0] == pytest.approx(2.0, abs=0.02)
    assert dz[0] == pytest.approx(0.0)


def test_the_wall_thickens() -> None:
    motion = Shrink((0.0, 7.0), 2.0, 1.0, 0.3)
    x = np.linspace(0, 5, 501, dtype=np.float32)
    came_from = x + motion.field(x, np.full_like(x, 7.0))[0]
    wall = (came_from >= 2.0) & (came_from <= 3.0)
    assert float(np.ptp(x[wall])) > 1.2


def test_the_valve_plane_moves_towards_the_apex_and_the_apex_stays() -> None:
    motion = Shorten((0.0, 3.0), (0.0, 10.0), 5.0, 1.3)
    _, dz = motion.field(np.zeros(2, dtype=np.float32), np.array([3.0, 9.5], dtype=np.float32))
    assert dz[0] == pytest.approx(0.0, abs=1e-6)
    assert dz[1] == pytest.approx(1.3 * 6.5 / 7.0, rel=0.01)


def test_squeeze_is_symmetric_about_the_axis() -> None:
    motion = Squeeze((0.0, 3.0), (0.0, 10.0), 2.2, 1.0, 0.3)
    dx, _ = motion.field(np.array([-1.5, 1.5], dtype=np.float32), np.full(2, 6.0, dtype=np.float32))
    assert dx[0] == pytest.approx(-dx[1])
    assert dx[1] > 0.3
