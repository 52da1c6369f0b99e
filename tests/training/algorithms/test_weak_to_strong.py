"""UDA against its formula, and training signal annealing against its three schedules."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch

from heart2heart.errors import ConfigError
from heart2heart.testing.runs import (
    B,
    K,
    U,
    check_per_sample_dot,
    gradient,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms import build_algorithm
from heart2heart.training.algorithms.weak_to_strong import UDA, Annealing, annealing_threshold
from heart2heart.training.losses import CrossEntropy

THRESHOLD, TEMPERATURE = 0.6, 0.4


def test_uda_loss_is_the_cross_entropy_against_sharpened_confident_pseudo_labels() -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=2)
    weak, strong = (reference(view) for view in step.unlabeled)
    expected, confident = torch.zeros((), dtype=torch.float64), 0
    for guess, logits in zip(weak.detach(), strong, strict=True):
        if float(guess.softmax(0).max()) >= THRESHOLD:
            confident += 1
            target = (guess / TEMPERATURE).softmax(0)
            expected = expected - (target * logits.log_softmax(0)).sum() / U
    assert 0 < confident < U
    loss = unlabeled_loss(UDA(threshold=THRESHOLD, temperature=TEMPERATURE), step)
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, reference))


@pytest.mark.parametrize("schedule", ["linear", "log", "exp"])
@pytest.mark.parametrize("weighted", [False, True])
def test_labeled_loss_with_annealing_leaves_out_frames_predicted_too_well(schedule: Annealing, weighted: bool) -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64) if weighted else None
    step = make_step(network, views=2, step=5, steps=50, criterion=CrossEntropy(weights))
    progress = 5 / 50
    rise = {"linear": progress, "log": 1 - math.exp(-progress * 5), "exp": math.exp((progress - 1) * 5)}[schedule]
    threshold = rise * (1 - 1 / K) + 1 / K
    total, scale, kept = torch.zeros((), dtype=torch.float64), 0.0, 0
    for logits, target in zip(reference(step.labeled), step.targets, strict=True):
        label = int(target.argmax())
        if float(logits.detach().softmax(0)[label]) <= threshold:
            weight = 1.0 if weights is None else float(weights[label])
            total, scale, kept = total - weight * logits.log_softmax(0)[label], scale + weight, kept + 1
    assert 0 < kept < B
    loss = UDA(annealing=schedule).labeled_loss(step)
    torch.testing.assert_close(loss.value, total / scale)
    torch.testing.assert_close(gradient(loss.value, network), gradient(total / scale, reference))
    assert float(loss.metrics["annealing_rate"]) == pytest.approx(kept / B)


def test_labeled_loss_of_a_batch_predicted_too_well_is_zero_and_finite() -> None:
    network = tiny_network()
    for criterion in (CrossEntropy(), CrossEntropy(by_weight=False)):
        step = make_step(network, views=2, criterion=criterion)
        labels = network(step.labeled).argmax(1)
        step = make_step(network, views=2, criterion=criterion, targets=torch.eye(K, dtype=torch.float64)[labels])
        loss = UDA(annealing="exp").labeled_loss(step)
        assert float(loss.value.detach()) == 0
        assert not gradient(loss.value, network).any()


@pytest.mark.parametrize("schedule", ["linear", "log", "exp"])
def test_annealing_threshold_rises_from_chance_to_one(schedule: Annealing) -> None:
    values = [annealing_threshold(schedule, step / 100, 4) for step in range(101)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(0.25, abs=0.01)
    assert values[-1] == pytest.approx(1, abs=0.01)
    assert annealing_threshold("none", 0.0, 4) == 1


def test_uda_without_annealing_has_the_usual_labeled_loss() -> None:
    step = make_step(tiny_network(), views=2)
    expected = -(step.targets * copy.deepcopy(tiny_network())(step.labeled).log_softmax(1)).sum() / B
    torch.testing.assert_close(UDA().labeled_loss(step).value, expected)
    with pytest.raises(ConfigError, match="annealing"):
        build_algorithm("uda", {"annealing": "quadratic"})


def test_uda_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    check_per_sample_dot(UDA(threshold=THRESHOLD), make_step(network, views=2), network)


def test_uda_learns(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "uda", "params": {"annealing": "linear"}}
    assert train_score(tiny, tmp_path / "run", method) > 0.6
