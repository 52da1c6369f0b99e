"""What must not be learned from is refused with a remedy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, LeakageError, RunError, SplitError, UnknownNameError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.testing.processes import run_processes
from heart2heart.testing.runs import StopAt, StoppedError, same
from heart2heart.testing.tiny import FRAMES_A_CLIP, PARTS, SIZE, TinyStore, tiny_store
from heart2heart.training.data import BalancedFrameSampler, TrainData, balance_groups, sampling_rates
from heart2heart.training.loader import TrainLoader
from heart2heart.training.losses import inverse_frequency
from heart2heart.training.networks.build import build_network
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.train import train
from heart2heart.training.train_step import Trainer
from tests.training.double_precision import assert_same_weights, train_in_double
from tests.training.test_train import BOTH, final, lines


def test_load_selects_rows_by_role_and_mode(tiny: TinyStore) -> None:
    split, store = SplitManifest.load(tiny.split), FrameStore.open(tiny.store)
    data = TrainData.open(split, store, tiny.config())
    assert len(data.train.rows) == PARTS["train"] * 4 * FRAMES_A_CLIP
    assert sorted(set(data.train.targets.tolist())) == [0, 1, 2, 3]
    assert len(data.unlabeled) == PARTS["unlabeled"] * 4 * FRAMES_A_CLIP
    assert not set(data.unlabeled) & set(data.train.rows)
    other = TrainData.open(split, store, tiny.config(pool={"modes": ["spectral"]}))
    assert len(other.unlabeled) == 0


def test_train_refuses_an_empty_pool_only_where_it_is_needed(tiny: TinyStore, tmp_path: Path) -> None:
    empty = {"pool": {"modes": ["spectral"]}, "steps": 1}
    with pytest.raises(RunError, match=r"FixMatch needs unlabeled frames, and the pool is empty.*pool\.modes"):
        train(tiny.config(**empty, method={"name": "fixmatch"}), tmp_path / "fixmatch")
    train(tiny.config(**empty), tmp_path / "labels_only")


def test_train_names_a_class_without_labels(tmp_path: Path) -> None:
    poor = tiny_store(tmp_path, views=(0, 1, 3))
    with pytest.raises(RunError, match="no training label of A4C"):
        train(poor.config(), tmp_path / "run")


def test_train_refuses_a_split_without_validation(tmp_path: Path) -> None:
    poor = tiny_store(tmp_path, parts={"train": 2})
    with pytest.raises(RunError, match="no labeled validation frame"):
        train(poor.config(), tmp_path / "run")


def test_train_refuses_an_uncertified_split(tmp_path: Path) -> None:
    fresh = tiny_store(tmp_path)
    (fresh.split / "certificate.json").unlink()
    with pytest.raises(LeakageError, match="certificate"):
        train(fresh.config(), tmp_path / "run")


def test_train_refuses_changed_data(tmp_path: Path) -> None:
    fresh = tiny_store(tmp_path)
    other = tiny_store(tmp_path / "other", parts={"train": 1, "validation": 1})
    with pytest.raises(SplitError, match="no longer hold"):
        train(TinyStore(other.store, fresh.split).config(), tmp_path / "run")


def test_train_and_predict_refuse_another_geometry(tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(steps=1), tmp_path / "run")
    FrameStore.create(tmp_path / "large", Geometry(size=2 * SIZE))
    with pytest.raises(RunError, match=r"takes frames of tmed2-16 .* the stores hold tmed2-32"):
        train(TinyStore(tmp_path / "large", tiny.split).config(steps=1), tmp_path / "run")
    with pytest.raises(RunError, match=r"takes uint8 frames \(n, 16, 16\)"):
        run.predict(torch.zeros(1, 2 * SIZE, 2 * SIZE, dtype=torch.uint8).numpy())


def test_train_lists_the_known_names(tiny: TinyStore, tmp_path: Path) -> None:
    for changes, known in (
        ({"network": {"name": "WideResNot"}}, "WideResNet"),
        ({"method": {"name": "flexmatch"}}, "fixmatch"),
        ({"fix_a_step": {"gradient": "pcgrad2"}}, "fix_a_step, held_out_gradient"),
    ):
        with pytest.raises(UnknownNameError, match=known):
            train(tiny.config(**changes), tmp_path / "run")
        assert not (tmp_path / "run").exists()
    for device in ("warp", "mps", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(ConfigError, match="device"):
            train(tiny.config(device=device), tmp_path / "run")


CPU = torch.device("cpu")
BALANCED: dict[str, Any] = BOTH | {
    "batch": {"labeled": 8, "unlabeled": 8, "balance": "site_and_view", "balance_unlabeled": "site"}
}


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    """Two source hospitals, A with two training patients and eleven in the pool, C with one of each."""
    return tiny_store(tmp_path_factory.mktemp("hospitals"), second_source=True)


def opened(tiny: TinyStore, **changes: Any) -> tuple[TrainData, TrainLoader]:
    config = tiny.config(**changes)
    data = TrainData.open(SplitManifest.load(tiny.split), FrameStores.open([tiny.store]), config)
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
def test_balanced_frame_sampler_holds_each_group_equally_and_passes_each_whole(
    sizes: list[int], n: int, seed: int
) -> None:
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    sampler = BalancedFrameSampler(group, torch.Generator().manual_seed(seed), CPU)
    batches = [sampler.take(n).numpy() for _ in range(4)]
    for batch in batches:
        counts = np.bincount(group[batch], minlength=len(sizes))
        assert np.abs(counts - n / len(sizes)).max() < 2
    drawn = np.concatenate([*batches, sampler.take(len(sizes) * max(sizes)).numpy()])
    for index, size in enumerate(sizes):
        of_group = drawn[group[drawn] == index]
        for start in range(0, len(of_group) - size + 1, size):
            assert sorted(of_group[start : start + size]) == np.flatnonzero(group == index).tolist()


def test_balanced_frame_sampler_goes_on_where_it_stood() -> None:
    group = np.repeat(np.arange(3), (2, 30, 500)).astype(np.int64)
    sampler = BalancedFrameSampler(group, torch.Generator().manual_seed(0), CPU)
    sampler.take(10_000)
    state = sampler.state_dict()
    expected = [sampler.take(6000) for _ in range(4)]
    other = BalancedFrameSampler(group, torch.Generator().manual_seed(9), CPU)
    other.load_state_dict(state)
    assert all(torch.equal(other.take(6000), each) for each in expected)


@pytest.mark.parametrize(("by", "share"), [("none", 1 / 3), ("view", 1 / 3), ("site", 0.5), ("site_and_view", 0.5)])
def test_next_holds_hospitals_and_views_as_configured(hospitals: TinyStore, by: str, share: float) -> None:
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


def test_next_balances_the_pool_by_its_own_key(hospitals: TinyStore) -> None:
    batch = {"labeled": 8, "unlabeled": 24, "balance_unlabeled": "site"}
    data, batches = opened(hospitals, method={"name": "fixmatch"}, batch=batch)
    batches.next(0)
    assert sites(data, batches, "unlabeled") == {"A": 12, "C": 12}
    assert any("unlabeled frames of the smallest of 2 balanced groups (12 frames) are drawn 11.0 times" in note
               for note in batches.notes)  # fmt: skip
    with pytest.raises(ConfigError, match="balance_unlabeled"):
        hospitals.config(batch={"balance_unlabeled": "view"})


def test_sampling_rates_give_the_class_weights_of_the_frames_drawn(hospitals: TinyStore) -> None:
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


def test_train_balanced_resumes_to_the_same_bits(hospitals: TinyStore, tmp_path: Path) -> None:
    config = hospitals.config(**BALANCED)
    whole = train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "stopped", progress=StopAt(10))
    resumed = train(config, tmp_path / "stopped")
    assert same(final(whole.path), final(resumed.path))
    assert lines(whole.path) == lines(resumed.path)
    assert any("balanced groups" in note for note in RunDirectory.read(whole.path).record.notes)


@pytest.mark.slow  # tests/training/test_distributed.py has a quicker one, of one hospital
def test_train_balanced_in_two_processes_draws_the_batches_of_one(hospitals: TinyStore, tmp_path: Path) -> None:
    config = hospitals.config(**BALANCED | {"steps": 4, "log_every": 1, "evaluate_every": 4})
    train_in_double(config, tmp_path / "alone")
    assert run_processes(2, train_in_double, config, tmp_path / "two", folder=tmp_path) == ["", ""]
    one, two = final(tmp_path / "alone"), final(tmp_path / "two")
    assert same(one["batches"]["samplers"], two["batches"]["samplers"])
    assert_same_weights(one, two)
