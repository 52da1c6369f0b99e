"""Acoustic augmentation: both drivers do the same, nothing at strength 0, and each operation what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.host_synchronisation import SYNCHRONISING_OPERATORS
from heart2heart.errors import ConfigError
from heart2heart.training.augment.acoustic import (
    ACOUSTIC_GEOMETRY,
    ACOUSTIC_OPERATIONS,
    COLUMNS,
    DEFAULT_PROBABILITIES,
    AcousticOperation,
    AcousticPolicy,
    draw_acoustic,
)
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import DRIVERS, augment
from heart2heart.training.augment.policy import STRONG, WEAK, Policy, draw_parameters
from heart2heart.training.config import AugmentationConfig, TrainConfig
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer
from tests.training.augment.acoustic_frames import SIZE, drawn, fan_mask, fans, only, with_values

WHOLE = Policy(draws=2, cutout=0.5, acoustic=AcousticPolicy())


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ACOUSTIC_OPERATIONS)
def test_drivers_agree_on_each_acoustic_operation_and_change_something(name: AcousticOperation) -> None:
    """Tolerance: one grey level, since tables of the depth have 512 bins and both drivers round."""
    pixels, policy = fans(8), only(name)
    parameters = drawn(policy, pixels)
    batched, per_sample = (DRIVERS[driver](policy, pixels, parameters) for driver in ("batched", "albumentations"))
    assert (batched - per_sample).abs().max() <= 1
    assert (batched - pixels).abs().mean() > 0.1
    assert torch.equal(batched, batched.round())


def test_drivers_agree_on_the_whole_acoustic_policy() -> None:
    """Tolerance: 99 % of the pixels within one grey level: a threshold of RandAugment may fall otherwise."""
    pixels = fans(48)
    parameters = drawn(WHOLE, pixels)
    batched, per_sample = (DRIVERS[driver](WHOLE, pixels, parameters) for driver in ("batched", "albumentations"))
    apart = (batched - per_sample).abs()
    assert (apart < 1.01).float().mean() > 0.99
    assert apart.mean() < 0.2


@pytest.mark.parametrize("driver", ["batched", "albumentations"])
@pytest.mark.parametrize("name", [*ACOUSTIC_OPERATIONS, None])
def test_drivers_change_nothing_at_strength_0(name: AcousticOperation | None, driver: str) -> None:
    """With every number 0 each operation's own code changes nothing; at strength 0 none of it runs."""
    pixels = fans(3)
    policy = only(name) if name else Policy(flip=0, crop=0, acoustic=AcousticPolicy())
    torch.testing.assert_close(with_values(policy, pixels, driver), pixels.float(), atol=1e-3, rtol=0)
    off = Policy(flip=0, crop=0, acoustic=AcousticPolicy(strength=0))
    parameters = drawn(off, pixels)
    assert parameters.acoustic is None
    torch.testing.assert_close(DRIVERS[driver](off, pixels, parameters), pixels.float(), atol=1e-3, rtol=0)


def test_draw_acoustic_multiplies_every_amount_by_the_strength() -> None:
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


def test_draw_acoustic_draws_operations_independently() -> None:
    policy = AcousticPolicy(probabilities=dict.fromkeys(ACOUSTIC_OPERATIONS, 0.5))
    parameters = draw_acoustic(policy, 4000, chance())
    applied = torch.stack([parameters[name] != 0 for name in ("gain", "blur", "haze", "overlay")]).float()
    correlation = torch.corrcoef(applied) - torch.eye(4)
    assert correlation.abs().max() < 0.06
    assert torch.equal(parameters["blur"] == 0, parameters["blur_axial"] == 0)


@pytest.mark.parametrize("name", [name for name in ACOUSTIC_OPERATIONS if name not in ("overlay", "background")])
def test_drivers_keep_a_black_background_black(name: AcousticOperation) -> None:
    pixels, policy = fans(8), only(name)
    if name in ACOUSTIC_GEOMETRY:
        policy = policy.model_copy(update={"acoustic": AcousticPolicy().only("gain")})
    out = DRIVERS["batched"](policy, pixels, drawn(policy, pixels))
    far = torch.nn.functional.max_pool2d(fan_mask()[None].float(), 11, 1, 5)[0] == 0
    assert int(far.sum()) > 200
    assert out[:, far].max() == 0


@pytest.mark.parametrize("name", ["overlay", "background"])
def test_drivers_swap_the_background_outside_the_sector_alone(name: AcousticOperation) -> None:
    pixels = fans(8)
    out = DRIVERS["batched"](only(name), pixels, drawn(only(name), pixels))
    assert torch.equal(out[:, fan_mask()], pixels.float()[:, fan_mask()])
    assert (out[:, ~fan_mask()] > 4).any(1).sum() == 8


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


def test_draw_parameters_draws_the_rest_alike_with_an_acoustic_part() -> None:
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


def test_acoustic_policy_by_default_changes_labeled_frames_outside_the_sector_alone() -> None:
    config = TrainConfig.parse({"data": {"stores": ["none"], "split": "none"}}, where="test")
    assert config.augmentation == AugmentationConfig()
    assert config.augmentation.labeled is not None
    assert config.augmentation.labeled.model_copy(update={"acoustic": None}) == WEAK
    acoustic = config.augmentation.labeled.acoustic
    assert acoustic is not None
    assert {name for name, chance in acoustic.probabilities.items() if chance > 0} == {"background", "overlay"}
    assert [WEAK.acoustic, STRONG.acoustic] == [None] * 2


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


def test_augment_never_makes_the_host_wait() -> None:
    pixels, generator = fans(4), chance()
    augment(WHOLE, pixels, generator)  # fills the caches
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        augment(WHOLE, pixels, generator)
    names = {event.key for event in profiler.key_averages()}
    assert "aten::grid_sampler_2d" in names
    assert not names & set(SYNCHRONISING_OPERATORS)


@pytest.mark.parametrize("labeled", [None, {"flip": 0, "crop": 0, "acoustic": {"strength": 0}}])
def test_trainer_augment_takes_the_labeled_policy_for_labeled_frames_alone(labeled: dict[str, Any] | None) -> None:
    content = {
        "data": {"stores": ["none"], "split": "none"},
        "method": {"name": "fixmatch"},
        "augmentation": {"labeled": labeled, "weak": {"flip": 1, "crop": 0}},
    }
    config = TrainConfig.parse(content, where="test")
    network = build_network("WideResNet", classes=2, size=SIZE, depth=10, widen=1)
    trainer = Trainer(network, config, classes=2, weights=None, generator=chance())
    pixels = fans(3)
    batch = trainer.augment(pixels, torch.eye(2)[[0, 1, 0]], pixels, torch.arange(3), chance())
    flipped = normalise(pixels.flip(2))
    torch.testing.assert_close(batch.unlabeled[0][:, 0], flipped, atol=1e-4, rtol=0)
    expected = flipped if labeled is None else normalise(pixels)
    torch.testing.assert_close(batch.labeled[:, 0], expected, atol=1e-4, rtol=0)
