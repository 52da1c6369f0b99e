"""Training with several seeds: ordinary runs in parallel, their ensemble and weight average, and what is refused."""

from __future__ import annotations

import json
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from heart2heart.errors import ConfigError, ExistsError, RunError
from heart2heart.export.export import export_run
from heart2heart.schema.run import CombinationKind
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.runs import same
from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training import seed_processes
from heart2heart.training.combine import SeedCombiner
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import TrainData
from heart2heart.training.derived_networks import Ensemble
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.seeds import SeedRuns, read_seeds, train_seeds
from heart2heart.training.selection import ValidationScore
from heart2heart.training.train import advance, train
from heart2heart.utils import sha256_file
from tests.training.test_train import final

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 16, 16)).astype(np.uint8)
SETTINGS: dict[str, Any] = {"steps": 8, "evaluate_every": 4}


@pytest.fixture(scope="module")
def trained(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> SeedRuns:
    """Three seeds, one after another."""
    return train_seeds(tiny.config(**SETTINGS), (0, 1, 2), tmp_path_factory.mktemp("seeds") / "runs", workers=1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=10, unique=True))
def test_read_seeds_reads_lists_and_ranges(seeds: list[int]) -> None:
    assert read_seeds(",".join(map(str, seeds))) == read_seeds(seeds) == tuple(sorted(seeds))
    first, last = min(seeds), max(seeds)
    assert read_seeds(f"{first}..{last}") == tuple(range(first, last + 1))


@pytest.mark.parametrize(
    "text", ["", "a", "1-3", "3..1", "0,,1", "-1", "1..", "0..999999999", "0.5", "1,1", "0..2,1", "²"]
)
def test_read_seeds_refuses_other_texts(text: str) -> None:
    with pytest.raises(ConfigError, match="--seeds"):
        read_seeds(text)


def test_train_seeds_gives_ordinary_runs_and_a_summary(trained: SeedRuns, tiny: TinyStore, tmp_path: Path) -> None:
    folder = trained.ensemble.path.parent.name
    assert [run.info().run for run in trained.members] == [
        f"{folder}/seed-{run.config.seed}" for run in trained.members
    ]
    assert trained.ensemble.name == f"{folder}/ensemble"
    alone = train(tiny.config(**SETTINGS, seed=1), tmp_path / "alone")
    assert same(final(alone.path), final(trained.members[1].path))
    assert [run.config.seed for run in trained.members] == [0, 1, 2]
    out = trained.ensemble.path.parent
    written = json.loads((out / "seeds.json").read_text())
    scores = [run.directory.record.selected_score for run in trained.members]
    assert [member["score"] for member in written["members"]] == pytest.approx(scores)
    assert (written["mean"], written["deviation"]) == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))
    assert f"SD {np.std(scores, ddof=1):.3f}" in repr(trained)


def test_ensemble_gives_the_mean_of_the_probabilities_of_its_members(trained: SeedRuns) -> None:
    ensemble = Run.load(trained.ensemble.path)
    expected = np.mean([run.probabilities(FRAMES) for run in trained.members], axis=0)
    np.testing.assert_allclose(ensemble.probabilities(FRAMES), expected, atol=1e-6)
    combination = ensemble.directory.record.combination
    assert combination is not None
    assert [member.seed for member in combination.members] == [0, 1, 2]
    for member, run in zip(combination.members, trained.members, strict=True):
        assert member.weights_sha256 == sha256_file(run.directory.best_checkpoint)
    info = ensemble.info()
    assert info.method == "labels only, ensemble of 3 seeds"
    assert info.facts.combination == "ensemble of 3 seeds"
    assert info.parameters == sum(run.info().parameters for run in trained.members)


def test_export_run_takes_an_ensemble(trained: SeedRuns, tmp_path: Path) -> None:
    assert export_run(trained.ensemble, tmp_path, ("pt2",))["pt2"].exists()  # it compares the logits itself


def test_ensemble_drops_further_outputs_of_its_members() -> None:
    torch.manual_seed(0)
    members = [nn.Linear(3, 6), nn.Linear(3, 6)]
    x = torch.randn(4, 3)
    expected = sum(member(x)[:, :4].softmax(-1) for member in members) / 2
    torch.testing.assert_close(Ensemble(members, classes=4)(x).exp(), expected)


def combiner(runs: list[Run], tiny: TinyStore) -> SeedCombiner:
    data = TrainData.open(SplitManifest.load(tiny.split), FrameStores.open([tiny.store]), runs[0].config)
    return SeedCombiner(runs, data, torch.device("cpu"))


@pytest.mark.parametrize(
    ("alone", "together", "chosen"),
    [
        ((0.7, 0.9, 0.8), {(0, 1, 2): 0.3, (1, 2): 0.4, (0, 1): 0.5}, (1,)),
        ((0.7, 0.9, 0.8), {(0, 1, 2): 0.95, (1, 2): 0.92, (0, 1): 0.5}, (0, 1, 2)),
        ((0.7, 0.9, 0.8), {(0, 1, 2): 0.6, (1, 2): 0.8, (0, 1): 0.9}, (0, 1)),
    ],
    ids=["none", "all", "some"],
)
def test_greedy_average_adds_members_from_the_best_on_while_the_score_does_not_fall(
    trained: SeedRuns,
    tiny: TinyStore,
    monkeypatch: pytest.MonkeyPatch,
    alone: tuple[float, ...],
    together: dict[tuple[int, ...], float],
    chosen: tuple[int, ...],
) -> None:
    combined = combiner(list(trained.members), tiny)
    combined.scores = [ValidationScore(score, 1.0) for score in alone]
    monkeypatch.setattr(combined, "averaged", lambda indices: tuple(sorted(indices)))
    monkeypatch.setattr(combined.frames, "score", lambda indices: ValidationScore(together[indices], 1.0))
    average = combined.greedy_average()
    assert average.indices == chosen
    assert average.uniform.balanced_accuracy == together[0, 1, 2]
    assert average.score.balanced_accuracy == (together[chosen] if len(chosen) > 1 else max(alone))


def test_averaged_is_the_mean_of_the_weights_with_statistics_of_its_own(trained: SeedRuns, tiny: TinyStore) -> None:
    combined = combiner(list(trained.members), tiny)
    network = combined.averaged((0, 1, 2)).state_dict()
    states = [run.network.state_dict() for run in trained.members]
    for name, value in network.items():
        if "running" in name or not value.is_floating_point():
            continue
        expected = np.mean([state[name].numpy() for state in states], axis=0)
        np.testing.assert_allclose(value.numpy(), expected, atol=1e-6)
    mean = np.mean([state["last.0.running_var"].numpy() for state in states], axis=0)
    assert not np.allclose(network["last.0.running_var"].numpy(), mean, rtol=0.05)
    # Averaging alters neither the members nor what is averaged next.
    assert all(same(run.network.state_dict(), state) for run, state in zip(trained.members, states, strict=True))


def test_write_replaces_a_model_of_other_members_and_nothing_else(
    trained: SeedRuns, tiny: TinyStore, tmp_path: Path
) -> None:
    combined = combiner(list(trained.members), tiny)
    network, out = combined.averaged((0, 1)), tmp_path / "average"
    first = combined.write(out, CombinationKind.AVERAGE, (0, 1), network, 0.5)
    before = first.directory.best_checkpoint.stat().st_mtime_ns
    assert (
        combined.write(out, CombinationKind.AVERAGE, (0, 1), network, 0.5).directory.best_checkpoint.stat().st_mtime_ns
        == before
    )
    second = combined.write(out, CombinationKind.AVERAGE, (0, 2), combined.averaged((0, 2)), 0.6)
    assert second.directory.record.selected_score == 0.6
    assert second.info().method == "labels only, weight average of 2 seeds"
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    with pytest.raises(ExistsError, match="in the way of the average"):
        combined.write(tmp_path / "thesis", CombinationKind.AVERAGE, (0, 1), network, 0.5)


def test_train_seeds_continues_and_takes_more_seeds(
    trained: SeedRuns, tiny: TinyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = trained.ensemble.path.parent
    again = train_seeds(tiny.config(**SETTINGS), (0, 1), out, workers=1)
    assert [member.seed for member in again.record.members] == [0, 1]
    assert again.ensemble.info().method == "labels only, ensemble of 2 seeds"
    back = train_seeds(tiny.config(**SETTINGS), (0, 1, 2), out, workers=1)
    assert back.record == trained.record


def test_train_seeds_refuses_other_settings_another_split_and_other_folders(
    trained: SeedRuns, tiny: TinyStore, tmp_path: Path
) -> None:
    out = trained.ensemble.path.parent
    with pytest.raises(RunError, match=r"trained otherwise; differing: optimiser\.lr: .*seed-0"):
        train_seeds(tiny.config(**SETTINGS, optimiser={"lr": 0.01}), (7, 8), out)
    other = tiny_store(tmp_path / "other", second_source=True)
    with pytest.raises(RunError, match="differing: the split"):
        train_seeds(other.config(**SETTINGS), (7, 8), out)
    with pytest.raises(ExistsError, match="holds a single run"):
        train_seeds(tiny.config(**SETTINGS), (0, 1), trained.members[0].path)
    with pytest.raises(ConfigError, match="several seeds"):
        train_seeds(tiny.config(**SETTINGS), (3,), tmp_path / "one")
    assert not (tmp_path / "one").exists()
    assert not (out / "seed-7").exists()


def test_train_seeds_keeps_the_others_if_one_seed_fails(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_at_seed_1(config: TrainConfig, out: Path, **options: Any) -> RunDirectory:
        if config.seed == 1:
            raise RunError("the disk is lost")
        return advance(config, out, **options)

    monkeypatch.setattr(seed_processes, "advance", fails_at_seed_1)
    with pytest.raises(
        RunError, match=r"1 of 3 seeds did not finish \(seed 1: the disk is lost\).*Run the same command"
    ):
        train_seeds(tiny.config(steps=2), (0, 1, 2), tmp_path / "runs", workers=1)
    assert all(Run.load(tmp_path / "runs" / f"seed-{seed}").directory.record.finished for seed in (0, 2))
    assert not (tmp_path / "runs" / "ensemble").exists()
    monkeypatch.undo()
    assert len(train_seeds(tiny.config(steps=2), (0, 1, 2), tmp_path / "runs", workers=1).members) == 3


def train_or_die(config: TrainConfig, folder: Path, threads: int, sender: Connection) -> None:
    """Train a run in a child process; that of seed 0 is killed after four steps."""
    if config.seed == 0:
        advance(config, folder, until=4)
        os.kill(os.getpid(), signal.SIGKILL)
    torch.set_num_threads(threads)
    advance(config, folder)
    sender.send("")


def test_train_seeds_keeps_the_others_if_a_process_is_killed_and_resumes(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny.config(steps=8, evaluate_every=4, checkpoint_every=2)
    monkeypatch.setattr(seed_processes, "_train_in_child", train_or_die)
    with pytest.raises(RunError, match=r"1 of 2 seeds did not finish \(seed 0: its process ended with code -9\)"):
        train_seeds(config, (0, 1), tmp_path / "runs", workers=2)
    assert Run.load(tmp_path / "runs" / "seed-1").directory.record.finished
    resumed = train_seeds(config, (0, 1), tmp_path / "runs", workers=1)
    whole = train(config.with_overrides(["seed=0"]), tmp_path / "whole")
    one, two = final(whole.path)["network"], final(resumed.members[0].path)["network"]
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-4, rtol=1e-3, msg=name)  # other numbers of threads
