"""Batches balanced by hospital and view: what they hold, that they resume, and that two processes draw the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.errors import ConfigError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.data import TrainData
from heart2heart.training.loader import TrainLoader
from heart2heart.training.losses import inverse_frequency
from heart2heart.training.networks.build import build_network
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.sampler import BalancedFrameSampler, balance_groups, sampling_rates
from heart2heart.training.train import train
from heart2heart.training.train_step import Trainer
from tests.training.double_precision import assert_same_weights, train_in_double
from tests.training.processes import together
from tests.training.test_train import BOTH, StopAt, StoppedError, final, lines, same
from tests.training.tiny_study import SIZE, World, make_world

CPU = torch.device("cpu")
BALANCED: dict[str, Any] = BOTH | {
    "batch": {"labeled": 8, "unlabeled": 8, "balance": "site_and_view", "balance_unlabeled": "site"}
}


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two source hospitals, A with two training patients and eleven in the pool, C with one of each."""
    return make_world(tmp_path_factory.mktemp("hospitals"), second_source=True)


def opened(world: World, **changes: Any) -> tuple[TrainData, TrainLoader]:
    config = world.config(**changes)
    data = TrainData.open(SplitManifest.load(world.split), FrameStores.open([world.store]), config)
    network = build_network("WideResNet", classes=4, size=SIZE, depth=10, widen=1, blocks=2)
    stream = torch.Generator().manual_seed(0)
    learner = Trainer(network, config, classes=4, pool_size=len(data.unlabeled), weights=None, generator=stream)
    return data, TrainLoader(config, data, learner, CPU)


def sites(data: TrainData, batches: TrainLoader, name: str) -> Counter[str]:
    table = data.frames.frames
    site = dict(zip(table["frame"].to_pylist(), table["site"].to_pylist(), strict=True))
    return Counter(site[frame] for frame in batches.frame_names(batches.drawn)[name])


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), n=st.integers(1, 64), seed=st.integers(0, 99))
def test_every_stretch_holds_each_group_equally_and_each_group_passes_whole(
    sizes: list[int], n: int, seed: int
) -> None:
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    sampler = BalancedFrameSampler(group, torch.Generator().manual_seed(seed), CPU)
    taken = [sampler.take(n).numpy() for _ in range(4)]
    for batch in taken:
        counts = np.bincount(group[batch], minlength=len(sizes))
        assert np.abs(counts - n / len(sizes)).max() < 2
    drawn = np.concatenate([*taken, sampler.take(len(sizes) * max(sizes)).numpy()])
    for number, size in enumerate(sizes):
        mine = drawn[group[drawn] == number]
        for start in range(0, len(mine) - size + 1, size):
            assert sorted(mine[start : start + size]) == np.flatnonzero(group == number).tolist()


def test_a_balanced_sampler_goes_on_where_it_stood_beyond_what_was_drawn_at_once() -> None:
    group = np.repeat(np.arange(3), (2, 30, 500)).astype(np.int64)
    sampler = BalancedFrameSampler(group, torch.Generator().manual_seed(0), CPU)
    sampler.take(10_000)
    state = sampler.state_dict()
    expected = [sampler.take(6000) for _ in range(4)]
    other = BalancedFrameSampler(group, torch.Generator().manual_seed(9), CPU)
    other.load_state_dict(state)
    assert all(torch.equal(other.take(6000), each) for each in expected)


@pytest.mark.parametrize(("by", "share"), [("none", 1 / 3), ("view", 1 / 3), ("site", 0.5), ("site_and_view", 0.5)])
def test_batches_hold_hospitals_and_views_as_asked(hospitals: World, by: str, share: float) -> None:
    batch = {"labeled": 24, "unlabeled": 24, "balance": by}
    data, batches = opened(hospitals, method={"name": "fixmatch"}, batch=batch)
    seen: Counter[str] = Counter()
    views: Counter[int] = Counter()
    for step in range(12):
        batches.next(step)
        seen += sites(data, batches, "labeled")
        views += Counter(data.train.targets[batches.drawn["labeled"].numpy()].tolist())
    assert seen["C"] / seen.total() == pytest.approx(share, abs=0.06)
    if "view" in by:
        assert {views[label] for label in range(4)} == {72}
    assert sites(data, batches, "unlabeled")["C"] < 8


def test_the_pool_is_balanced_by_its_own_key(hospitals: World) -> None:
    batch = {"labeled": 8, "unlabeled": 24, "balance_unlabeled": "site"}
    data, batches = opened(hospitals, method={"name": "fixmatch"}, batch=batch)
    batches.next(0)
    assert sites(data, batches, "unlabeled") == {"A": 12, "C": 12}
    assert any("unlabeled frames of the smallest of 2 balanced groups (12 frames) are drawn 11.0 times" in note
               for note in batches.notes)  # fmt: skip
    with pytest.raises(ConfigError, match="balance_unlabeled"):
        hospitals.config(batch={"balance_unlabeled": "view"})


def test_class_weights_follow_what_is_drawn(hospitals: World) -> None:
    data, _ = opened(hospitals)
    keep = ~((data.train.targets == 0) & (balance_groups(data.frames, data.train.rows, "site") == 1))  # C has no PLAX
    poor = TrainData(data.frames, data.split, type(data.train)(data.train.rows[keep], data.train.targets[keep]),
                     data.validation, data.unlabeled)  # fmt: skip
    targets = torch.from_numpy(poor.train.targets)
    weights = {
        by: inverse_frequency(targets, 4, torch.from_numpy(sampling_rates(poor, by)))
        for by in ("none", "site", "view", "site_and_view")
    }
    torch.testing.assert_close(weights["none"], inverse_frequency(targets, 4))
    torch.testing.assert_close(weights["view"], torch.full((4,), 0.25))
    # A draws each view in 1/8 of the frames, C each of its three in 1/6.
    expected = 1 / torch.tensor([1 / 8, 1 / 8 + 1 / 6, 1 / 8 + 1 / 6, 1 / 8 + 1 / 6])
    torch.testing.assert_close(weights["site"], expected / expected.sum())
    expected = 1 / torch.tensor([1 / 7, 2 / 7, 2 / 7, 2 / 7])
    torch.testing.assert_close(weights["site_and_view"], expected / expected.sum())


def test_a_balanced_run_resumes_to_the_same_bits(hospitals: World, tmp_path: Path) -> None:
    config = hospitals.config(**BALANCED)
    whole = train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "stopped", progress=StopAt(10))
    resumed = train(config, tmp_path / "stopped")
    assert same(final(whole.path), final(resumed.path))
    assert lines(whole.path) == lines(resumed.path)
    assert any("balanced groups" in note for note in RunDirectory.read(whole.path).record.notes)


@pytest.mark.slow  # tests/training/test_distributed.py has a quicker one, of one hospital
def test_two_processes_draw_the_balanced_batches_of_one(hospitals: World, tmp_path: Path) -> None:
    config = hospitals.config(**BALANCED | {"steps": 4, "log_every": 1, "evaluate_every": 4})
    train_in_double(config, tmp_path / "alone")
    assert together(2, train_in_double, config, tmp_path / "two", folder=tmp_path) == ["", ""]
    one, two = final(tmp_path / "alone"), final(tmp_path / "two")
    assert same(one["batches"]["samplers"], two["batches"]["samplers"])
    assert_same_weights(one, two)
