"""Acoustic augmentation: both drivers do the same, nothing at strength 0, and each operation what it says."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.augment.acoustic import (
    ACOUSTIC_GEOMETRY,
    ACOUSTIC_OPERATIONS,
    DEFAULT_PROBABILITIES,
    AcousticOperation,
    AcousticPolicy,
)
from heart2heart.training.augment.acoustic_batched import FOOT, acoustic_curve
from heart2heart.training.augment.acoustic_parameters import COLUMNS, AcousticParameters, draw_acoustic
from heart2heart.training.augment.drivers import DRIVERS, augment
from heart2heart.training.augment.policy import STRONG, WEAK, Policy, draw_parameters
from heart2heart.training.config import AugmentationConfig, TrainConfig
from tests.training.augment.acoustic_frames import SIZE, drawn, fan_mask, fans, only, with_values

WHOLE = Policy(draws=2, cutout=0.5, acoustic=AcousticPolicy())


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ACOUSTIC_OPERATIONS)
def test_each_operation_agrees_between_drivers_and_changes_something(name: AcousticOperation) -> None:
    """Tolerance: one grey level, since tables of the depth have 512 bins and both drivers round."""
    pixels, policy = fans(8), only(name)
    parameters = drawn(policy, pixels)
    batched, per_sample = (DRIVERS[driver](policy, pixels, parameters) for driver in ("batched", "albumentations"))
    assert (batched - per_sample).abs().max() <= 1
    assert (batched - pixels).abs().mean() > 0.1
    assert torch.equal(batched, batched.round())


def test_whole_policy_agrees_between_drivers() -> None:
    """Tolerance: 99 % of the pixels within one grey level: a threshold of RandAugment may fall otherwise."""
    pixels = fans(48)
    parameters = drawn(WHOLE, pixels)
    batched, per_sample = (DRIVERS[driver](WHOLE, pixels, parameters) for driver in ("batched", "albumentations"))
    apart = (batched - per_sample).abs()
    assert (apart < 1.01).float().mean() > 0.99
    assert apart.mean() < 0.2


@pytest.mark.parametrize("driver", ["batched", "albumentations"])
@pytest.mark.parametrize("name", [*ACOUSTIC_OPERATIONS, None])
def test_strength_0_is_the_identity(name: AcousticOperation | None, driver: str) -> None:
    """With every number 0 each operation's own code changes nothing; at strength 0 none of it runs."""
    pixels = fans(3)
    policy = only(name) if name else Policy(flip=0, crop=0, acoustic=AcousticPolicy())
    torch.testing.assert_close(with_values(policy, pixels, driver), pixels.float(), atol=1e-3, rtol=0)
    off = Policy(flip=0, crop=0, acoustic=AcousticPolicy(strength=0))
    parameters = drawn(off, pixels)
    assert parameters.acoustic is None
    torch.testing.assert_close(DRIVERS[driver](off, pixels, parameters), pixels.float(), atol=1e-3, rtol=0)


def test_strength_multiplies_every_amount() -> None:
    weak, strong = (draw_acoustic(AcousticPolicy(strength=strength), 64, chance()) for strength in (0.25, 1.0))
    for name, column in COLUMNS.items():
        share = 0.25 if column.scale else 1.0
        torch.testing.assert_close(weak[name], strong[name] * share, msg=name)


def test_draw_acoustic_stays_in_the_ranges_and_uses_them() -> None:
    policy = AcousticPolicy(probabilities=dict.fromkeys(ACOUSTIC_OPERATIONS, 0.5))
    parameters = draw_acoustic(policy, 4000, chance())
    for name, column in COLUMNS.items():
        high = column.high * (policy.amount(column.scale) if column.scale else 1.0)
        values = parameters[name]
        assert 0.95 * high < values.max() <= high + 1e-6, name
        if column.operation:
            assert 0.46 < (values == 0).float().mean() < 0.54, name
            assert (values.min() < -0.95 * high) == (column.low < 0), name


def test_operations_are_drawn_independently() -> None:
    policy = AcousticPolicy(probabilities=dict.fromkeys(ACOUSTIC_OPERATIONS, 0.5))
    parameters = draw_acoustic(policy, 4000, chance())
    applied = torch.stack([parameters[name] != 0 for name in ("gain", "blur", "haze", "overlay")]).float()
    correlation = torch.corrcoef(applied) - torch.eye(4)
    assert correlation.abs().max() < 0.06
    assert torch.equal(parameters["blur"] == 0, parameters["blur_axial"] == 0)


@pytest.mark.parametrize("name", [name for name in ACOUSTIC_OPERATIONS if name not in ("overlay", "background")])
def test_black_background_stays_black(name: AcousticOperation) -> None:
    pixels, policy = fans(8), only(name)
    if name in ACOUSTIC_GEOMETRY:
        policy = policy.model_copy(update={"acoustic": AcousticPolicy().only("gain")})
    out = DRIVERS["batched"](policy, pixels, drawn(policy, pixels))
    far = torch.nn.functional.max_pool2d(fan_mask()[None].float(), 11, 1, 5)[0] == 0
    assert int(far.sum()) > 200
    assert out[:, far].max() == 0


@pytest.mark.parametrize("name", ["overlay", "background"])
def test_what_is_swapped_outside_leaves_the_sector(name: AcousticOperation) -> None:
    pixels = fans(8)
    out = DRIVERS["batched"](only(name), pixels, drawn(only(name), pixels))
    assert torch.equal(out[:, fan_mask()], pixels.float()[:, fan_mask()])
    assert (out[:, ~fan_mask()] > 4).any(1).sum() == 8


def curve(**values: float) -> list[float]:
    row = torch.tensor([[values.get(name, 0.0) for name in COLUMNS]])
    levels = torch.full((1, 4, 4), 100.0)
    return [float(level) for level in acoustic_curve(levels, AcousticParameters(row))[0]]


def test_acoustic_curve_follows_the_scanner() -> None:
    """Over 60 dB, 12 dB are a fifth of white; black stays black, and rises fade in below FOOT."""
    assert curve() == list(range(256))
    assert curve(gain=12.0)[100] == 151
    assert curve(gain=-12.0)[100] == 49
    assert curve(gain=12.0)[0] == 0
    assert curve(gain=12.0)[int(FOOT / 2)] == pytest.approx(FOOT / 2 + 51 / 2, abs=0.6)
    assert curve(dynamic_range=math.log(1.5))[200] == pytest.approx(255 - 55 * 1.5, abs=0.6)
    assert curve(gamma=math.log(2))[128] == round(255 * (128 / 255) ** 2)
    assert curve(brightness=math.log(1.3))[100] == 130
    assert curve(black_level=0.1)[100] == round(255 * (100 / 255 - 0.1) / 0.9)
    assert curve(contrast=math.log(1.5))[140] == 160  # the mean is 100
    assert curve(contrast=-math.log(2))[140] == 120


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
def test_geometry_moves_a_dot_as_it_says(name: AcousticOperation, values: dict[str, float], expected: Any) -> None:
    x, y = centre(with_values(only(name), dot(12, 30), "batched", **values)[0])
    if name == "sector_angle":
        expected = (expected[0], math.sqrt(expected[1] - expected[0] ** 2) - 10)
    assert x == pytest.approx(expected[0], abs=0.3)
    assert y == pytest.approx(expected[1], abs=0.3)


def test_time_gain_and_attenuation_follow_the_depth() -> None:
    flat = torch.full((1, 65, 65), 100, dtype=torch.uint8)
    column = with_values(only("attenuation"), flat, attenuation=12.0)[0, :, 32]
    torch.testing.assert_close(column, 100 - 51 * torch.arange(65.0) / 65, atol=1.5, rtol=0)
    knots = {f"time_gain_{knot}": 6.0 for knot in range(4, 8)}
    column = with_values(only("time_gain"), flat, "batched", **knots)[0, :, 32]
    assert (column[:27] == 100).all()
    assert (column[40:] == 126).all()  # 6 of 60 dB
    assert (column.diff() >= 0).all()


def test_shadow_is_a_wedge_along_scan_lines() -> None:
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


def test_blur_grows_with_depth_and_keeps_the_sum() -> None:
    frame = torch.zeros(1, 65, 65, dtype=torch.uint8)
    frame[0, 8, 32] = frame[0, 56, 32] = 200
    out = with_values(only("blur"), frame, blur=0.04, blur_axial=0.012)[0]
    assert out[8, 32] > 190
    assert out[56, 32] < 150
    assert float(out[50:62].sum()) == pytest.approx(200, abs=4)
    assert out[56, 33] > out[57, 32]  # wider across than along


def test_speckle_is_correlated_and_multiplicative() -> None:
    flat = torch.full((4, 96, 96), 120, dtype=torch.uint8)
    policy = only("speckle")
    out = with_values(policy, flat, speckle=2.0, grain=0.5) - 120
    assert float(out.std()) == pytest.approx(2.0 * 255 / 60, rel=0.1)
    across = float((out[..., 1:] * out[..., :-1]).mean() / out.square().mean())
    down = float((out[:, 1:] * out[:, :-1]).mean() / out.square().mean())
    assert across > down > 0.2


def test_haze_brightens_the_near_field_inside_the_sector() -> None:
    pixels = fans(2)
    pixels[:, 20:28, 20:28] = 0  # a dark cavity, which haze fills
    out = with_values(only("haze"), pixels, haze=0.3, haze_depth=0.4, haze_width=0.1)
    assert out[:, 20:23, 22:26].min() > 30
    far = out[:, 40:] - pixels[:, 40:]
    assert far.abs().max() <= 2


def test_augment_draws_alike_for_every_part_of_a_batch() -> None:
    pixels = fans(8)
    whole = augment(WHOLE, pixels, chance())
    for rows in (slice(0, 3), slice(3, 8)):
        part = augment(WHOLE, pixels[rows], chance(), total=8, rows=rows)
        torch.testing.assert_close(part, whole[rows])


def test_augment_is_the_same_on_one_thread_and_two() -> None:
    pixels, threads = fans(16, 64), torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(augment(WHOLE, pixels, chance()))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_drawing_the_acoustic_part_leaves_the_rest_as_it_was() -> None:
    """It is drawn last, so a policy with it and one without draw the same crops and operations."""
    with_it = draw_parameters(WHOLE, 16, SIZE, chance())
    without = draw_parameters(STRONG, 16, SIZE, chance())
    assert torch.equal(with_it.operations, without.operations)
    assert torch.equal(with_it.cutout, without.cutout)
    assert torch.equal(with_it.shift, without.shift)


def test_acoustic_policy_has_a_short_form() -> None:
    content = {"labeled": {"acoustic": {}}, "strong": {"acoustic": {"strength": 0.5, "probabilities": {"haze": 0}}}}
    parsed = AugmentationConfig.parse(content, where="test")
    assert parsed.labeled == Policy(acoustic=AcousticPolicy())
    assert parsed.weak == WEAK
    assert parsed.strong.acoustic is not None
    assert parsed.strong.acoustic.probabilities == {**DEFAULT_PROBABILITIES, "haze": 0.0}
    assert AugmentationConfig.parse(parsed.model_dump(mode="json"), where="test") == parsed


def test_acoustic_policy_is_off_by_default() -> None:
    config = TrainConfig.parse({"data": {"stores": ["none"], "split": "none"}}, where="test")
    assert config.augmentation == AugmentationConfig()
    assert [config.augmentation.labeled, WEAK.acoustic, STRONG.acoustic] == [None] * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"probabilities": {"swirl": 0.5}}, "swirl"),
        ({"probabilities": {"haze": 1.5}}, "probability of haze is 1.5"),
        ({"gamma": 0.5}, "gamma"),
        ({"strength": -1}, "strength"),
        ({"swirl": 1}, "unknown key"),
    ],
)
def test_acoustic_policy_refuses(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AcousticPolicy.parse(content, where="policy.yaml")
