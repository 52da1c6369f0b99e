"""The validation score by hand, which weights a run ships by it, and the perturbed validation frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.metrics import log_loss, recall_score
from torch.nn import functional

from heart2heart.errors import ConfigError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint, validation
from heart2heart.training.augment.perturbation import PERTURBATIONS, perturb
from heart2heart.training.data import FramePool, TrainData
from heart2heart.training.run import Run
from heart2heart.training.selection import ValidationScore
from heart2heart.training.train import advance, train
from heart2heart.training.validation import (
    SELECTION_LEVEL,
    PerturbedFrames,
    ValidationFrames,
    balanced_information,
    balanced_loss,
)
from tests.training.test_train import lines


def pool(tiny: TinyStore) -> FramePool:
    return FramePool(FrameStore.open(tiny.store), np.arange(40, dtype=np.int64), torch.device("cpu"))


def test_perturbed_frames_take_perturbs_every_frame_once(tiny: TinyStore) -> None:
    frames = PerturbedFrames(pool(tiny), torch.arange(40) % 4)
    assert sorted(frames.index.tolist()) == list(range(40))
    for kind in ("gain", "shadow"):
        expected = perturb(kind, SELECTION_LEVEL, pool(tiny).take(frames.index))
        assert torch.equal(frames.take(kind), expected)
        assert frames.take(kind) is frames.take(kind)
    assert frames.kinds == tuple(PERTURBATIONS)


def test_perturbed_frames_are_an_even_sample_of_every_class(tiny: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "PERTURBED_FRAMES", 20)
    targets = torch.tensor([0] * 24 + [1] * 14 + [2] * 2)
    frames = PerturbedFrames(pool(tiny), targets)
    assert torch.bincount(targets[frames.index]).tolist() == [12, 7, 1]
    assert len(set(frames.index.tolist())) == 20
    assert torch.equal(frames.index, PerturbedFrames(pool(tiny), targets).index)


def test_balanced_information_is_one_for_certain_views_and_counts_each_class_once() -> None:
    targets = torch.tensor([0, 0, 0, 1, 2, 2])
    assert balanced_information(100.0 * functional.one_hot(targets, 3), targets) == pytest.approx(1)
    assert balanced_information(torch.zeros(6, 3), targets) == pytest.approx(0, abs=1e-9)
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    probabilities = logits.double().softmax(-1).numpy()
    weights = np.array([1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6])
    expected = entropy(weights @ probabilities) - weights @ entropy(probabilities, axis=1)
    assert balanced_information(logits, targets) == pytest.approx(expected / np.log(3))


def test_balanced_loss_is_the_cross_entropy_of_equally_heavy_classes() -> None:
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0] * 6 + [2] * 3)
    weights = np.where(targets.numpy() == 0, 1 / 6, 1 / 3)
    expected = log_loss(targets, logits.double().softmax(-1), labels=[0, 1, 2], sample_weight=weights)
    assert balanced_loss(logits, targets) == pytest.approx(expected)


def scores_by_hand(run: Run, tiny: TinyStore) -> tuple[float, float, float, float]:
    """Return the shipped network's scores on the validation frames: clean, then over all perturbations; by sklearn."""
    frames = FrameStores.open([tiny.store])
    data = TrainData.open(SplitManifest.load(tiny.split), frames, run.config)
    order = np.argsort(data.validation.targets, kind="stable")
    pixels, targets = torch.from_numpy(frames.read(data.validation.rows[order])), data.validation.targets[order]
    accuracies, losses = [], []
    for kind in (None, *PERTURBATIONS):
        logits = run.predict((pixels if kind is None else perturb(kind, SELECTION_LEVEL, pixels)).numpy())
        probabilities = torch.from_numpy(logits).double().softmax(-1).numpy()
        accuracies.append(recall_score(targets, logits.argmax(1), average="macro"))
        losses.append(log_loss(targets, probabilities))  # the tiny store's classes are of one size
    return accuracies[0], losses[0], float(np.mean(accuracies)), float(np.mean(losses))


def test_score_of_the_shipped_weights_is_what_metrics_and_record_say(tiny: TinyStore, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"selection": "perturbed", "batch_norm_record": "labeled", "average_last": 0}
    run = train(tiny.config(steps=20, evaluate_every=5, **settings), tmp_path / "run")
    record = run.directory.record
    expected = scores_by_hand(run, tiny)
    row = next(line for line in lines(run.path) if line["step"] == record.selected_step)
    names = ("balanced_accuracy", "loss", "perturbed_accuracy", "perturbed_loss")
    assert [row[f"validation_{name}"] for name in names] == pytest.approx(expected, abs=1e-5)
    assert record.selected_score == row["validation_perturbed_accuracy"]
    scores = [line["validation_perturbed_accuracy"] for line in lines(run.path) if "validation_loss" in line]
    assert record.selected_score == max(scores)
    assert "acoustic perturbations" in run.info().selection


def scripted(monkeypatch: pytest.MonkeyPatch, *scores: tuple[float, float]) -> None:
    remaining = iter(scores)
    monkeypatch.setattr(ValidationFrames, "score", lambda self, network: ValidationScore(*next(remaining)))


def test_train_ships_the_lower_loss_then_the_later_step_of_equal_scores(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"selection": "validation", "steps": 4, "evaluate_every": 1, "average_last": 0}
    scripted(monkeypatch, (0.9, 0.4), (0.9, 0.2), (0.9, 0.3), (0.8, 0.1))
    assert train(tiny.config(**settings), tmp_path / "loss").directory.record.selected_step == 2
    scripted(monkeypatch, (0.9, 0.4), (0.9, 0.2), (0.9, 0.2), (0.8, 0.1))
    assert train(tiny.config(**settings), tmp_path / "step").directory.record.selected_step == 3


def test_train_ships_the_last_weights_whatever_their_score(tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(selection="last", ema=0.0, batch_norm_record="running"), tmp_path / "run")
    assert run.directory.record.selected_step == 12
    last = checkpoint.load(run.directory.last_checkpoint)["network"]
    shipped = checkpoint.load(run.directory.best_checkpoint)["weights"]
    assert all(torch.equal(value, last[name]) for name, value in shipped.items())
    assert run.info().selection == "last step, EMA weights"


def test_train_ships_the_mean_of_the_last_weights_where_it_scores_best(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"selection": "validation", "batch_norm_record": "running", "average_last": 2}
    settings |= {"steps": 4, "evaluate_every": 1, "checkpoint_every": 1}
    scripted(monkeypatch, (0.5, 1.0), (0.6, 1.0), (0.7, 1.0), (0.6, 1.0), (0.8, 1.0))
    config = tiny.config(**settings)
    advance(config, tmp_path / "run", until=3)
    third = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.pt")["ema"]
    run = train(config, tmp_path / "run")
    fourth = checkpoint.load(run.directory.last_checkpoint)["ema"]
    record = run.directory.record
    assert (record.selected_step, record.selected_score, record.selected_average) == (4, 0.8, 2)
    assert lines(run.path)[-1]["average_balanced_accuracy"] == 0.8
    assert run.info().selection.endswith("mean of the last 2 EMA weights")
    for name, value in checkpoint.load(run.directory.best_checkpoint)["weights"].items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (third[name] + fourth[name]) / 2, msg=name)


def test_train_resumes_from_a_checkpoint_of_the_former_version(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(evaluate_every=2, selection="validation")
    advance(config, tmp_path / "run", until=4)
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    content = checkpoint.load(path)
    del content["average"]
    for name in ("loss", "averaged"):
        del content["best"][name]
    torch.save(content | {"format": 2}, path)
    run = train(config, tmp_path / "run")
    assert run.directory.record.finished
    assert "average_loss" in lines(run.path)[-1]  # its window began after the checkpoint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"selection": "last", "early_stop": 3}, "early_stop needs a selection by score"),
        ({"selection": "best"}, "selection: Input should be 'validation', 'perturbed' or 'last'"),
        ({"batch_norm_record": "pool"}, "batch_norm_record: Input should be 'auto', 'running', 'labeled' or 'clean'"),
    ],
)
def test_train_config_refuses_settings_that_exclude_each_other(
    tiny: TinyStore, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny.config(**settings)
