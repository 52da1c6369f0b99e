"""Pseudo-labels weighted by their place among the labels, against the formula in NumPy."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heart2heart.errors import ConfigError
from heart2heart.testing.algorithm_checks import check_threads
from heart2heart.testing.runs import POOL, B, K, U, check_resumes, make_step, tiny_network, train_score, unlabeled_loss
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.prototype_match import RECENT, PrototypeMatch

METHOD = PrototypeMatch(threshold_rule="fixed", threshold=0.4, full_trust=0.6, prototype_decay=0.8, pool_decay=0.7)


def features(network: nn.Sequential, frames: Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(network[:-1](frames))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def make_steps(count: int) -> tuple[nn.Sequential, nn.Sequential, list[StepContext]]:
    """Return network, average, and steps of other frames that share one memory."""
    network, average = tiny_network(), tiny_network(seed=1).eval()
    steps = [make_step(network, views=2, average=average, method=METHOD, seed=seed) for seed in range(count)]
    doubled = {name: value.double() if value.is_floating_point() else value for name, value in steps[0].memory.items()}
    for step in steps:
        step.memory.clear()
        step.memory.update(doubled)
    return network, average, steps


def test_unlabeled_loss_equals_the_formula_over_three_steps() -> None:
    network, average, steps = make_steps(3)
    reference = copy.deepcopy(network).train()
    sums, counts = np.zeros((K, 36)), np.zeros(K)
    recent: list[tuple[int, float]] = []
    pool_sum = pool_weight = 0.0
    weights = set()
    for step in steps:
        labels = step.targets.argmax(1).numpy()
        vectors = features(average, step.labeled)
        sums, counts = 0.8 * sums, 0.8 * counts
        for label, vector in zip(labels, vectors, strict=True):
            sums[label] += vector
            counts[label] += 1
        present = [each for each in range(K) if counts[each]]
        means = {each: sums[each] / counts[each] for each in present}
        centre = np.mean(list(means.values()), axis=0)
        recent += [
            (int(label), cosine(vector - centre, means[label] - centre))
            for label, vector in zip(labels, vectors, strict=True)
        ]
        weak, strong = step.unlabeled
        guesses = average(weak).detach().softmax(1).numpy()
        trusts, logits = list[float](), reference(strong)
        for vector, guess in zip(features(average, weak), guesses, strict=True):
            own = [value for label, value in recent if label == guess.argmax()]
            near = cosine(vector - centre, means[guess.argmax()] - centre) if own else 0.0
            trusts.append(min(1.0, float(np.mean(np.array(own) <= near)) / 0.6) if own else 0.0)
        pool_sum, pool_weight = 0.7 * pool_sum + float(np.mean(trusts)), 0.7 * pool_weight + 1
        of_pool = min(1.0, pool_sum / pool_weight / 0.7)
        expected = torch.zeros((), dtype=torch.float64)
        for row, (guess, trust) in enumerate(zip(guesses, trusts, strict=True)):
            weight = trust * of_pool * (guess.max() >= 0.4)
            weights.add(round(weight, 6))
            expected = expected - weight * logits[row].log_softmax(0)[int(guess.argmax())] / U
        loss = unlabeled_loss(METHOD, METHOD.prepare_batch(step))
        torch.testing.assert_close(loss.value, expected)
        assert float(loss.metrics["pool_trust"]) == pytest.approx(of_pool)
        for callback in step.callbacks:
            callback()
    assert len(weights) >= 5


def test_unlabeled_loss_without_trust_is_fixmatch_by_the_average() -> None:
    network, average = tiny_network(), tiny_network(seed=1).eval()
    method = METHOD.model_copy(update={"trust": "none"})
    step = make_step(network, views=2, average=average, method=method)
    weak, strong = step.unlabeled
    guess = average(weak).softmax(1).max(1)
    each = nn.functional.cross_entropy(copy.deepcopy(network)(strong), guess.indices, reduction="none")
    torch.testing.assert_close(unlabeled_loss(method, step).value, (each * (guess.values >= 0.4)).mean())
    framewise = METHOD.model_copy(update={"trust": "frame"})
    _, _, steps = make_steps(1)
    loss = unlabeled_loss(framewise, framewise.prepare_batch(steps[0]))
    assert float(loss.metrics["pool_trust"]) == 1.0


def test_trusts_are_small_for_frames_unlike_every_label() -> None:
    _, average, steps = make_steps(1)
    METHOD.remember(steps[0])
    own = torch.from_numpy(features(average, steps[0].labeled))
    label = steps[0].targets.argmax(1)
    near, _ = METHOD.trusts(steps[0], own, label)
    far, of_pool = METHOD.trusts(steps[0], 2 * own.mean(0) - own, label)
    assert float(near.mean()) > 0.7 > 0.4 > float(far.mean())
    assert float(of_pool) == pytest.approx(float(far.mean()) / 0.7)


def test_remember_keeps_the_newest_frames() -> None:
    _, _, steps = make_steps(1)
    rounds = RECENT // B + 2
    for _ in range(rounds):
        METHOD.remember(steps[0])
    memory = steps[0].memory
    assert int(memory["recent.drawn"]) == rounds * B
    assert bool((memory["recent.label"] >= 0).all())
    last = np.arange((rounds - 1) * B, rounds * B) % RECENT
    assert memory["recent.label"][torch.from_numpy(last)].tolist() == steps[0].targets.argmax(1).tolist()


def test_prepare_batch_mixes_the_labels_with_each_other() -> None:
    _, _, steps = make_steps(1)
    mixed = METHOD.prepare_batch(steps[0])
    assert mixed.labeled.shape == steps[0].labeled.shape
    assert not torch.equal(mixed.labeled, steps[0].labeled)
    torch.testing.assert_close(mixed.targets.sum(1), torch.ones(B, dtype=torch.float64))
    check_threads(METHOD)


def test_initial_memory_refuses_a_network_without_a_linear_layer() -> None:
    with pytest.raises(ConfigError, match="no linear layer"):
        METHOD.initial_memory(POOL, K, {"weight": torch.zeros(3, 1, 2, 2)})


def test_prototype_match_learns_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "prototype_match"}
    assert train_score(tiny, tmp_path / "run", method) > 0.5
    check_resumes(tiny, tmp_path, method=method)
