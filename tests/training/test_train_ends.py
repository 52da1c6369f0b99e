"""How a run ends other than at its last step, and what it says then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from heart2heart.errors import DivergedError, RunError
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.runs import StopAt, StoppedError, same
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from heart2heart.training.selection import ValidationScore
from heart2heart.training.train import advance, train
from heart2heart.training.train_step import AugmentedBatch, Trainer
from heart2heart.training.validation import Validator
from heart2heart.utils import read_json, write_json
from tests.training.test_train import BOTH, final, lines

STALLING = {
    "selection": "validation",
    "evaluate_every": 1,
    "steps": 9,
    "early_stop": 2,
    "checkpoint_every": 100,
    "average_last": 0,
}


@pytest.fixture
def stalling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations that stop improving after the third; an equal one is no improvement."""
    scores = iter((0.5, 0.4, 0.6, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
    losses = iter((0.5, 0.4, 0.6, 0.5, 0.7, 0.7, 0.8, 0.9, 1.0))
    monkeypatch.setattr(Validator, "score", lambda self: ValidationScore(next(scores), next(losses)))


@pytest.mark.usefixtures("stalling")
def test_train_stops_when_validations_do_not_improve(tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(**STALLING), tmp_path / "run")
    record = run.directory.record
    assert (record.finished, record.steps, record.selected_step, record.selected_score) == (True, 5, 3, 0.6)
    assert run.info().steps == 5
    assert [line["step"] for line in lines(run.path)] == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("stalling")
def test_train_by_default_goes_on_to_the_last_step(tiny: TinyStore, tmp_path: Path) -> None:
    record = train(tiny.config(**STALLING | {"early_stop": None}), tmp_path / "run").directory.record
    assert (record.steps, record.selected_step) == (9, 9)


@pytest.mark.usefixtures("stalling")
def test_train_killed_while_it_stops_early_stops_there_again(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(tiny.config(**STALLING), tmp_path / "run", progress=StopAt(5))
    assert final(tmp_path / "run")["step"] == 5
    assert train(tiny.config(**STALLING), tmp_path / "run").directory.record.selected_step == 3


def test_advance_after_a_pause_gives_the_same(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH)
    train(config, tmp_path / "whole")
    paused = advance(config, tmp_path / "paused", until=5)
    assert not paused.record.finished
    assert final(tmp_path / "paused")["step"] == 5
    advance(config, tmp_path / "paused", until=5)
    assert [line["step"] for line in lines(tmp_path / "paused")] == [2, 4, 5]
    train(config, tmp_path / "paused")
    assert same(final(tmp_path / "whole"), final(tmp_path / "paused"))


def test_train_names_step_and_frames_of_a_loss_that_is_not_finite(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, batches = Trainer.step, []

    def step(self: Trainer, views: AugmentedBatch, number: int) -> dict[str, Tensor]:
        batches.append(views.pool_index.tolist())
        metrics = keep(self, views, number)
        return metrics | {"loss_unlabeled": metrics["loss_unlabeled"] / (number != 6)}

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(
        DivergedError, match=r"loss of step 7 is not finite; its frames: .* and 5 more \(labeled\)"
    ) as e:
        train(tiny.config(**BOTH), tmp_path / "run")
    written = read_json(tmp_path / "run" / "diverged.json", what="batch")
    assert written["step"] == 7
    store = FrameStore.open(tiny.store)
    views = dict(zip(store.frames["frame"].to_pylist(), store.frames["row"].to_pylist(), strict=True))
    assert len(set(written["labeled"]) & set(views)) == 8
    assert all(name in str(e.value) for name in written["labeled"][:3])
    pool = sorted(views[name] for name in views if name in set(written["unlabeled"]))
    assert len(pool) == len(set(batches[6])) == 8
    assert final(tmp_path / "run")["step"] == 4


def test_train_notes_fewer_frames_than_a_batch(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH | {"steps": 1, "batch": {"labeled": 40, "unlabeled": 150}})
    notes = train(config, tmp_path / "run").directory.record.notes
    assert notes == (
        "only 36 labeled frames, fewer than batch.labeled=40: frames repeat within a batch",
        "only 144 unlabeled frames, fewer than batch.unlabeled=150: frames repeat within a batch",
    )


def test_train_names_the_remedy_for_too_little_memory(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Trainer, views: AugmentedBatch, number: int) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "step", full)
    with pytest.raises(RunError, match=r"too little memory.*Lower batch\.unlabeled"):
        train(tiny.config(), tmp_path / "run")


def test_train_refuses_a_run_of_another_version(tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(steps=1), tmp_path / "run")
    record = json.loads((run.path / "run.json").read_text())
    recorded_version = record["versions"]["heart2heart"]
    config = (run.path / "config.yaml").read_text()
    (run.path / "config.yaml").write_text(config + "warp_factor: 9\n")
    with pytest.raises(
        RunError, match=f"another version: warp_factor: unknown key.*Read it with heart2heart {recorded_version}"
    ):
        train(tiny.config(steps=1), run.path)
    (run.path / "config.yaml").write_text(config)
    write_json(run.path / "run.json", record | {"schema_version": 7})
    with pytest.raises(RunError, match="record is of another version"):
        Run.load(run.path)
