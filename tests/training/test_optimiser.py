"""Optimiser, schedule, average, sampler, pool, precision: the small parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms import build_algorithm
from heart2heart.training.data import FramePool, FrameSampler
from heart2heart.training.model_access import Forward, JointForward
from heart2heart.training.optimiser import (
    Ema,
    OptimiserConfig,
    ScheduleConfig,
    UnlabeledWeightConfig,
    build_optimiser,
    learning_rate,
    set_learning_rate,
    unlabeled_weight,
)
from heart2heart.training.validation import balanced_accuracy

CPU = torch.device("cpu")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_build_optimiser_decays_no_bias_and_no_norm(name: str, kind: type) -> None:
    optimiser = build_optimiser(network(), OptimiserConfig.parse({"name": name, "weight_decay": 0.1}, where="test"))
    assert isinstance(optimiser, kind)
    decay = {group["weight_decay"]: [p.ndim for p in group["params"]] for group in optimiser.param_groups}
    assert decay == {0.1: [4, 2], 0.0: [1, 1, 1, 1]}


@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_build_optimiser_gives_the_encoder_a_rate_of_its_own(factor: float) -> None:
    model = network()
    optimiser = build_optimiser(model, OptimiserConfig(lr=0.2), head=("3",), encoder_lr=factor)
    set_learning_rate(optimiser, 0.4)
    rates = {id(value): group["lr"] for group in optimiser.param_groups for value in group["params"]}
    expected = {name: 0.4 * (1 if name.startswith("3.") else factor) for name, _ in model.named_parameters()}
    assert {name: rates[id(value)] for name, value in model.named_parameters()} == pytest.approx(expected)
    assert len(optimiser.param_groups) == (2 if factor == 1 else 4)


def test_build_optimiser_leaves_frozen_parameters_out() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimiser = build_optimiser(model, OptimiserConfig())
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 4


def test_build_optimiser_sgd_is_nesterov() -> None:
    optimiser = build_optimiser(network(), OptimiserConfig())
    assert all(group["nesterov"] and group["momentum"] == 0.9 for group in optimiser.param_groups)


def test_learning_rate_cosine_follows_its_formula_over_the_run() -> None:
    schedule = ScheduleConfig()
    for step in (0, 37, 100):
        assert learning_rate(schedule, 0.3, step, 100) == pytest.approx(0.3 * math.cos(7 * math.pi * step / 1600))
    official = ScheduleConfig(cycle=1_048_576)
    assert learning_rate(official, 0.3, 25_000, 25_000) > 0.299
    assert learning_rate(ScheduleConfig(name="fixed"), 0.3, 99, 100) == 0.3


def test_unlabeled_weight_ramps_linearly() -> None:
    ramped = UnlabeledWeightConfig(value=10, ramp=4)
    assert [unlabeled_weight(ramped, step) for step in range(6)] == [0, 2.5, 5, 7.5, 10, 10]
    assert unlabeled_weight(UnlabeledWeightConfig(value=10), 0) == 10


def test_ema_averages_parameters_and_copies_buffers() -> None:
    trained = network()
    average = Ema(trained, 0.9)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(torch.randn_like(parameter))
    trained(torch.randn(5, 1, 4, 4))
    average.update()
    after = trained.state_dict()
    buffers = {name for name, _ in trained.named_buffers()}
    for name, value in average.state_dict().items():
        expected = after[name] if name in buffers else 0.9 * before[name] + 0.1 * after[name]
        torch.testing.assert_close(value, expected)
    assert int(after["1.num_batches_tracked"]) == 1
    assert not average.network.training


def test_frame_sampler_passes_hold_every_item_once_and_small_sets_repeat() -> None:
    sampler = FrameSampler(5, torch.Generator().manual_seed(0), CPU)
    drawn = torch.cat([sampler.take(3) for _ in range(10)])
    assert all(sorted(part.tolist()) == list(range(5)) for part in torch.split(drawn, 5))
    assert len({tuple(part.tolist()) for part in torch.split(drawn, 5)}) > 1
    assert torch.bincount(sampler.take(12), minlength=5).min() >= 2


def test_frame_sampler_resumes_in_the_middle_of_a_pass() -> None:
    sampler = FrameSampler(7, torch.Generator().manual_seed(0), CPU)
    sampler.take(4)
    state = sampler.state_dict()
    expected = [sampler.take(4).tolist() for _ in range(5)]
    other = FrameSampler(7, torch.Generator().manual_seed(99), CPU)
    other.load_state_dict(state)
    assert [other.take(4).tolist() for _ in range(5)] == expected


@pytest.mark.parametrize("placement", ["device", "memory_map", "auto"])
def test_frame_pool_gathers_the_same_from_device_and_memory_map(tiny: TinyStore, placement: str) -> None:
    store = FrameStore.open(tiny.store)
    rows = np.arange(40, dtype=np.int64)[::-2].copy()
    indices = torch.tensor([3, 0, 3, 19])
    pools = {name: FramePool(store, rows, CPU, name) for name in ("device", "memory_map", "auto")}
    assert (pools[placement].pixels is not None) is (placement == "device")
    assert torch.equal(pools[placement].take(indices), torch.from_numpy(store.read(rows[indices.numpy()])))


def test_forward_in_bfloat16_gives_back_full_precision() -> None:
    model = Forward(network(), "bfloat16")
    x = torch.randn(4, 1, 4, 4)
    assert model(x).dtype == torch.float32
    assert not torch.equal(model(x), Forward(model.network, "float32")(x))
    torch.testing.assert_close(model(x), Forward(model.network, "auto")(x), atol=0.1, rtol=0.1)


def test_joint_forward_is_one_batch_and_passes_others_through() -> None:
    model = network().train()
    first, second, other = (torch.randn(n, 1, 4, 4) for n in (3, 4, 5))
    joint = JointForward(model, (first, second))
    whole = model(torch.cat([first, second]))
    torch.testing.assert_close(joint(first), whole[:3])
    torch.testing.assert_close(joint(second), whole[3:])
    torch.testing.assert_close(joint(other), model(other))


def test_balanced_accuracy_counts_only_the_classes_present() -> None:
    logits = torch.eye(4)[[0, 0, 3, 2]]
    assert balanced_accuracy(logits, torch.tensor([0, 0, 0, 2])) == pytest.approx((2 / 3 + 1) / 2)


def test_build_algorithm_refuses_unknown_names_and_settings() -> None:
    assert build_algorithm("fixmatch", {"threshold": 0.8}).views == ("weak", "strong")
    with pytest.raises(UnknownNameError, match="fixmatch, freematch"):
        build_algorithm("fixmach", {})
    with pytest.raises(ConfigError, match="tau: unknown key"):
        build_algorithm("fixmatch", {"tau": 0.8})
