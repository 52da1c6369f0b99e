"""The policy: both drivers do the same, and each operation does what its definition says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import DRIVERS, augment
from heart2heart.training.augment.policy import (
    OPERATION_NAMES,
    STRONG,
    WEAK,
    AugmentationParameters,
    Operation,
    Policy,
    draw_parameters,
)

SIZE = 24


def frames(n: int, size: int = SIZE, seed: int = 0) -> Tensor:
    """Smooth pictures with noise, uint8 `(n, size, size)`."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 1, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)[:, 0]
    noisy = smooth * 220 + 15 + torch.randn(n, size, size, generator=generator) * 4
    return noisy.clamp(0, 255).to(torch.uint8)


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def always(name: str, value: float, draws: int = 1) -> Policy:
    """Nothing but one operation with a fixed value."""
    operation = Operation.parse({"name": name, "low": value, "high": value}, where="test")
    return Policy(flip=0, crop=0, draws=draws, probability=1, operations=(operation,))


def one(policy: Policy, pixels: Tensor, driver: str = "batched") -> Tensor:
    parameters = draw_parameters(policy, len(pixels), pixels.shape[-1], chance())
    return DRIVERS[driver](policy, pixels, parameters)


def test_weak_drivers_agree_exactly() -> None:
    pixels = frames(32)
    parameters = draw_parameters(WEAK, 32, SIZE, chance())
    batched, per_sample = (DRIVERS[name](WEAK, pixels, parameters) for name in ("batched", "albumentations"))
    torch.testing.assert_close(batched, per_sample, atol=1e-2, rtol=0)
    assert 0 < int(parameters.flip.sum()) < 32


def test_strong_drivers_agree_within_a_grey_level() -> None:
    """Tolerance: 98.5 % of the pixels within one grey level, and 0.25 levels in the mean.

    OpenCV interpolates in fixed point and albumentations rounds after each step; a threshold then may fall otherwise.
    """
    pixels = frames(192)
    parameters = draw_parameters(STRONG, 192, SIZE, chance())
    batched, per_sample = (DRIVERS[name](STRONG, pixels, parameters) for name in ("batched", "albumentations"))
    apart = (batched - per_sample).abs()
    assert set(parameters.operations.flatten().tolist()) == set(range(len(OPERATION_NAMES)))
    assert (apart < 1.01).float().mean() > 0.985
    assert apart.mean() < 0.25


@pytest.mark.parametrize("name", [name for name in OPERATION_NAMES if name != "identity"])
def test_drivers_agree_on_each_operation_and_change_something(name: str) -> None:
    value = {"rotate": 17.0, "posterize": 4.0, "solarize": 0.5}.get(name, 0.25)
    pixels = frames(8)
    batched, per_sample = (one(always(name, value), pixels, driver) for driver in ("batched", "albumentations"))
    apart = (batched - per_sample).abs()
    assert (apart < 1.01).float().mean() > 0.985
    assert (batched - pixels).abs().mean() > 1


def test_weak_is_a_crop_of_the_reflect_padded_flipped_frame() -> None:
    pixels = frames(6)
    parameters = draw_parameters(WEAK, 6, SIZE, chance(3))
    out = DRIVERS["batched"](WEAK, pixels, parameters)
    for index in range(6):
        source = pixels[index].numpy()
        source = source[:, ::-1] if parameters.flip[index] else source
        padded = np.pad(source, 3, mode="reflect")
        x, y = (3 + int(value) for value in parameters.shift[index])
        np.testing.assert_allclose(out[index].numpy(), padded[y : y + SIZE, x : x + SIZE], atol=1e-2)


def test_drivers_follow_the_formulas_of_tone_operations() -> None:
    pixels = frames(3)
    for frame, out in zip(pixels.numpy(), one(always("contrast", 0.4), pixels).numpy(), strict=True):
        expected = frame.mean() + 0.4 * (frame.astype(float) - frame.mean())
        assert np.abs(out - expected).max() <= 0.51
    solarized = one(always("solarize", 0.5), pixels)
    assert torch.equal(solarized, torch.where(pixels >= 127.5, 255 - pixels, pixels).float())
    assert torch.equal(one(always("posterize", 5.9), pixels), (pixels // 8 * 8).float())
    stretched = one(always("autocontrast", 0), pixels)
    assert stretched.amin((1, 2)).tolist() == [0] * 3
    assert stretched.amax((1, 2)).tolist() == [255] * 3


def test_drivers_compose_two_tone_operations_in_the_order_drawn() -> None:
    pixels = frames(2)
    bright, solar = OPERATION_NAMES.index("brightness"), OPERATION_NAMES.index("solarize")
    for first, second in ((bright, solar), (solar, bright)):
        policy = always("brightness", 0.5, draws=2)
        drawn = draw_parameters(policy, 2, SIZE, chance())
        value = {bright: 0.5, solar: 0.25}
        parameters = AugmentationParameters(
            drawn.flip, drawn.shift, torch.tensor([[first, second]] * 2),
            torch.tensor([[value[first], value[second]]] * 2), drawn.cutout,
        )  # fmt: skip
        expected = pixels.float()
        for number in (first, second):
            if number == bright:
                expected = (expected * 0.5).round()
            else:
                expected = torch.where(expected >= 0.25 * 255, 255 - expected, expected)
        assert torch.equal(DRIVERS["batched"](policy, pixels, parameters), expected)


def test_drivers_keep_a_flat_frame_finite() -> None:
    flat = torch.full((2, SIZE, SIZE), 90, dtype=torch.uint8)
    for name in ("autocontrast", "equalize", "contrast", "sharpness"):
        torch.testing.assert_close(one(always(name, 0.5), flat), flat.float())


def test_drivers_fill_with_black_after_a_rotation() -> None:
    white = torch.full((1, SIZE, SIZE), 255, dtype=torch.uint8)
    turned = one(always("rotate", 45), white)[0]
    assert turned[0, 0] == turned[-1, -1] == 0
    assert turned[SIZE // 2, SIZE // 2] > 254.9


def test_drivers_cut_out_half_the_side_in_grey() -> None:
    policy = Policy(flip=0, crop=0, cutout=0.5)
    out = one(policy, torch.zeros(64, SIZE, SIZE, dtype=torch.uint8))
    areas = (out == 127).sum((1, 2))
    assert int(areas.max()) == (SIZE // 2) ** 2
    assert int(areas.min()) >= (SIZE // 2) ** 2 // 4


def test_draw_parameters_differ_by_frame_and_repeat_by_seed() -> None:
    first, again, other = (draw_parameters(STRONG, 64, SIZE, chance(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.values, again.values)
    assert torch.equal(first.shift, again.shift)
    assert not torch.equal(first.values, other.values)
    assert len(torch.unique(first.shift, dim=0)) > 10
    pixels = frames(64)
    assert torch.equal(augment(STRONG, pixels, chance(5)), augment(STRONG, pixels, chance(5)))


def test_drivers_augment_a_batch_frame_by_frame() -> None:
    pixels = frames(6)
    parameters = draw_parameters(STRONG, 6, SIZE, chance())
    whole = DRIVERS["batched"](STRONG, pixels, parameters)
    for index in range(6):
        alone = DRIVERS["batched"](STRONG, pixels[index : index + 1], parameters.take(slice(index, index + 1)))
        torch.testing.assert_close(alone[0], whole[index])


def test_normalise_gives_values_from_minus_one_to_one() -> None:
    assert normalise(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    out = augment(STRONG, frames(4), chance())
    assert out.shape == (4, 1, SIZE, SIZE)
    assert out.dtype == torch.float32
    assert -1 <= out.min() < out.max() <= 1


def test_policy_is_configuration(tmp_path: Path) -> None:
    STRONG.save(tmp_path / "policy.yaml")
    assert Policy.load(tmp_path / "policy.yaml") == STRONG
    with pytest.raises(ConfigError, match=r"operations\.0\.name"):
        Policy.parse({"operations": [{"name": "swirl"}]}, where="policy.yaml")
