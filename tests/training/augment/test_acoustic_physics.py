"""The acoustic operations against the formulas of the scanner that they copy."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heart2heart.training.augment.acoustic import COLUMNS, AcousticOperation, AcousticParameters, AcousticPolicy
from heart2heart.training.augment.acoustic_batched import FOOT, acoustic_curve
from tests.training.augment.acoustic_frames import fans, only, with_values


def curve(**values: float) -> list[float]:
    row = torch.tensor([[values.get(name, 0.0) for name in COLUMNS]])
    levels = torch.full((1, 4, 4), 100)
    return [float(level) for level in acoustic_curve(levels, AcousticParameters(row))[0]]


def test_acoustic_curve_follows_the_scanner() -> None:
    """Over 60 dB, 12 dB are a fifth of 255; black stays black, rises fade in below FOOT; the frame's white is 100."""
    assert curve() == list(range(256))
    assert curve(gain=12.0)[100] == 151
    assert curve(gain=-12.0)[100] == 49
    assert curve(gain=12.0)[0] == 0
    assert curve(gain=12.0)[int(FOOT / 2)] == pytest.approx(FOOT / 2 + 51 / 2, abs=0.6)
    assert curve(dynamic_range=math.log(1.5))[60] == 40
    assert curve(dynamic_range=-math.log(1.5))[40] == 60
    assert curve(gamma=math.log(2))[50] == 25
    assert curve(gamma=-math.log(2))[64] == 80
    assert curve(brightness=math.log(1.3))[100] == 130
    assert curve(black_level=0.1)[55] == 50
    assert curve(black_level=0.1)[10] == 0
    assert curve(contrast=math.log(1.5))[140] == 160  # the mean is 100
    assert curve(contrast=-math.log(2))[140] == 120


def test_acoustic_curve_takes_white_from_the_lit_pixels() -> None:
    """Half at 60, half at 100 and some black: mean 80, deviation 20, white 120, so gamma 2 sends 60 to 30."""
    levels = torch.tensor([60, 100] * 10 + [0] * 5).reshape(1, 5, 5)
    row = torch.tensor([[math.log(2) if name == "gamma" else 0.0 for name in COLUMNS]])
    assert acoustic_curve(levels, AcousticParameters(row))[0, 60] == 30


amounts = {name: AcousticPolicy().amount(name) for name in ("gain", "dynamic_range", "gamma", "brightness", "contrast")}


@settings(deadline=None, max_examples=60)
@given(st.fixed_dictionaries({name: st.floats(-high, high) for name, high in amounts.items()}), st.floats(0, 0.15))
def test_acoustic_curve_never_turns_grey_levels_round(values: dict[str, float], black_level: float) -> None:
    levels = curve(**values, black_level=black_level)
    assert levels[0] == 0
    assert all(0 <= lower <= higher <= 255 for lower, higher in pairwise(levels))


def dot(x: int, y: int, size: int = 65) -> Tensor:
    """One bright 3 x 3 dot, x and y from the middle of the upper edge."""
    frame = torch.zeros(1, size, size, dtype=torch.uint8)
    frame[0, y - 1 : y + 2, size // 2 + x - 1 : size // 2 + x + 2] = 240
    return frame


def centre(frame: Tensor) -> tuple[float, float]:
    """Return the centre of brightness, x and y from the middle of the upper edge."""
    size = frame.shape[-1]
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return float((x * frame).sum() / frame.sum()) - size // 2, float((y * frame).sum() / frame.sum())


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("depth", {"depth": math.log(1.25)}, (12 / 1.25, 30 / 1.25)),
        ("aspect", {"aspect": math.log(1.2)}, (10, 30)),
        ("shift", {"shift_x": 4 / 65, "shift_y": -6 / 65}, (8, 36)),
        # About the middle of the frame, which is 32 below the upper edge: (12, -2) turned by 90 degrees.
        ("rotation", {"rotation": 90.0}, (-2, 32 - 12)),
        # 40 below the apex, which is 10 above the upper edge: the sine falls by 1.2 and the distance stays.
        ("sector_angle", {"sector_angle": math.log(1.2), "apex": 10 / 65}, (10, math.hypot(12, 40) ** 2)),
    ],
)
def test_acoustic_operation_of_geometry_moves_a_dot_as_computed(
    name: AcousticOperation, values: dict[str, float], expected: Any
) -> None:
    x, y = centre(with_values(only(name), dot(12, 30), "batched", **values)[0])
    if name == "sector_angle":
        expected = (expected[0], math.sqrt(expected[1] - expected[0] ** 2) - 10)
    assert x == pytest.approx(expected[0], abs=0.3)
    assert y == pytest.approx(expected[1], abs=0.3)


def test_acoustic_operation_time_gain_and_attenuation_follow_the_depth() -> None:
    flat = torch.full((1, 65, 65), 100, dtype=torch.uint8)
    column = with_values(only("attenuation"), flat, attenuation=12.0)[0, :, 32]
    torch.testing.assert_close(column, 100 - 51 * torch.arange(65.0) / 65, atol=1.5, rtol=0)
    knots = {f"time_gain_{knot}": 6.0 for knot in range(4, 8)}
    column = with_values(only("time_gain"), flat, "batched", **knots)[0, :, 32]
    assert (column[:27] == 100).all()
    assert (column[40:] == 126).all()  # 6 of 60 dB
    assert (column.diff() >= 0).all()


def test_acoustic_operation_shadow_is_a_wedge_along_scan_lines() -> None:
    flat = torch.full((1, 65, 65), 100, dtype=torch.uint8)
    out = with_values(
        only("shadow"), flat, shadow=40.0, shadow_slope=0.2, shadow_width=0.1, shadow_depth=0.3, apex=0.5
    )[0]
    rows = torch.arange(65)[(out == 0).any(1)]
    assert 19 <= rows[0] <= 26
    for row in (40, 60):
        dark = torch.nonzero(out[row] == 0)[:, 0].float() - 32
        below_apex = row + 0.5 * 65
        assert dark.mean() == pytest.approx(0.2 * below_apex, abs=1)
        # A loss of 100 levels, all of them, is 24 of the 40 dB, so 0.6 of the half-shadow is black too.
        assert len(dark) == pytest.approx(2 * (0.1 - 0.6 * 0.03) * below_apex, abs=2)


def test_acoustic_operation_blur_grows_with_depth_and_keeps_the_sum() -> None:
    frame = torch.zeros(1, 65, 65, dtype=torch.uint8)
    frame[0, 8, 32] = frame[0, 56, 32] = 200
    out = with_values(only("blur"), frame, blur=0.04, blur_axial=0.012)[0]
    assert out[8, 32] > 190
    assert out[56, 32] < 150
    assert float(out[50:62].sum()) == pytest.approx(200, abs=4)
    assert out[56, 33] > out[57, 32]  # wider across than along


def test_acoustic_operation_speckle_is_correlated_and_multiplicative() -> None:
    flat = torch.full((4, 96, 96), 120, dtype=torch.uint8)
    policy = only("speckle")
    out = with_values(policy, flat, speckle=2.0, grain=0.5) - 120
    assert float(out.std()) == pytest.approx(2.0 * 255 / 60, rel=0.1)
    across = float((out[..., 1:] * out[..., :-1]).mean() / out.square().mean())
    down = float((out[:, 1:] * out[:, :-1]).mean() / out.square().mean())
    assert across > down > 0.2


def test_acoustic_operation_haze_brightens_the_near_field_inside_the_sector() -> None:
    pixels = fans(2)
    pixels[:, 20:28, 20:28] = 0  # a dark cavity, which haze fills
    out = with_values(only("haze"), pixels, haze=0.3, haze_depth=0.4, haze_width=0.1)
    assert out[:, 20:23, 22:26].min() > 30
    far = out[:, 40:] - pixels[:, 40:]
    assert far.abs().max() <= 2
