"""Distribution alignment against its formula, over batches, processes and a resumed run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.errors import ConfigError
from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import (
    POOL,
    K,
    U,
    check_per_sample_dot,
    check_resumes,
    make_step,
    tiny_network,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.weak_to_strong import FixMatch
from heart2heart.training.config import TrainConfig
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.pseudo_labels import _RATIO_EPSILON, DistributionAlignment, sharpen
from heart2heart.training.train import train
from heart2heart.training.train_step import AugmentedBatch, Trainer
from tests.training.test_train_step import config

LABELS = torch.tensor([0.5, 0.3, 0.2])


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 9))
def test_align_multiplies_by_the_ratio_of_labels_to_recent_pseudo_labels(seed: int, batches: int, past: int) -> None:
    rng = np.random.default_rng(seed)
    alignment = DistributionAlignment(LABELS, batches)
    memory = alignment.initial_memory()
    history = [rng.dirichlet([1, 1, 1], size=5) for _ in range(past)]
    for guesses in history:
        alignment.update(torch.from_numpy(guesses.mean(0)), memory)
    now = rng.dirichlet([1, 1, 1], size=4)
    expected = now
    if past:
        recent = np.mean([guesses.mean(0) for guesses in history[-batches:]], axis=0)
        expected = now * (LABELS.numpy() + _RATIO_EPSILON) / (recent + _RATIO_EPSILON)
        expected = expected / expected.sum(1, keepdims=True)
    aligned = alignment.align(torch.from_numpy(now), memory)
    np.testing.assert_allclose(aligned.numpy(), expected, atol=1e-6)
    assert int(memory["alignment.seen"]) == past


def test_align_uses_earlier_batches_and_update_adds_the_batch_at_the_end() -> None:
    alignment = DistributionAlignment(LABELS, 8)
    network = tiny_network()
    memory = alignment.initial_memory()
    alignment.update(torch.tensor([0.2, 0.2, 0.6]), memory)
    step = make_step(network, views=2, memory=memory, alignment=alignment)
    probabilities = network(step.unlabeled[0]).softmax(1).detach()
    guess = probabilities * (LABELS / torch.tensor([0.2, 0.2, 0.6]))
    guess = guess / guess.sum(1, keepdim=True)
    label = guess.argmax(1)
    assert (label != probabilities.argmax(1)).any()
    loss = unlabeled_loss(FixMatch(threshold=0.0), step)
    strong = network(step.unlabeled[1]).log_softmax(1)
    torch.testing.assert_close(loss.value, -strong[torch.arange(U), label].mean())
    assert int(memory["alignment.seen"]) == 1
    for work in step.callbacks:
        work()
    torch.testing.assert_close(memory["alignment.recent"][1].double(), probabilities.mean(0), atol=1e-6, rtol=0)
    assert int(memory["alignment.seen"]) == 2


def test_align_uses_the_mean_over_all_processes() -> None:
    alignment = DistributionAlignment(LABELS, 8)

    def work(group: Processes) -> torch.Tensor:
        step = make_step(tiny_network(), views=2, group=group, memory=alignment.initial_memory(), alignment=alignment)
        step.align(step.model_access.ema(step.unlabeled[0]).softmax(1))
        for due in step.callbacks:
            due()
        return step.memory["alignment.recent"]

    alone = work(Processes())
    assert alone[0].sum() > 0
    for recent in run_threads(3, work):
        torch.testing.assert_close(recent, alone)


def test_align_is_the_same_for_a_rule_per_frame() -> None:
    alignment, network = DistributionAlignment(LABELS, 8), tiny_network()
    memory = alignment.initial_memory()
    alignment.update(torch.tensor([0.2, 0.2, 0.6]), memory)
    check_per_sample_dot(
        FixMatch(threshold=0.5), make_step(network, views=2, memory=memory, alignment=alignment), network
    )


def test_distribution_alignment_is_configured_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "fixmatch", "params": {"threshold": 0.5}}
    check_resumes(tiny, tmp_path, method=method, alignment_batches=3, fix_a_step={"gradient": "per_frame"})


def test_distribution_alignment_is_refused_by_a_method_without_pseudo_labels(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Pi-model has no pseudo-labels to align: alignment_batches"):
        train(tiny.config(method={"name": "pi_model"}, alignment_batches=128), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_distribution_alignment_is_declared_by_each_method(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    aligned = []

    def align(self: StepContext, guesses: torch.Tensor) -> torch.Tensor:
        aligned.append(guesses)
        return guesses

    monkeypatch.setattr(StepContext, "align", align)
    content = config("separate", mixing=False).model_dump() | {"method": {"name": name}}
    network = tiny_network(outputs=K + build_algorithm(name, {}).extra_outputs(K))
    settings, generator = TrainConfig.parse(content, where="test"), torch.Generator().manual_seed(0)
    learner = Trainer(network, settings, classes=K, pool_size=POOL, weights=None, generator=generator)
    step = make_step(tiny_network(), views=len(learner.algorithm.views))
    for start in learner.algorithm.stages(settings.steps):  # what some methods ask depends on the stage
        learner.step(AugmentedBatch(step.labeled, step.targets, step.unlabeled, step.pool_index, ()), start)
    assert bool(aligned) is ALGORITHMS[name].uses_alignment


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 3.0])
def test_sharpen_is_a_power_scaled_to_sum_one(temperature: float) -> None:
    guesses = torch.rand(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
    power = guesses ** (1 / temperature)
    torch.testing.assert_close(sharpen(guesses, temperature), power / power.sum(1, keepdim=True))


def test_sharpen_at_a_temperature_at_which_every_power_vanishes() -> None:
    sharp = sharpen(torch.tensor([[0.3, 0.3, 0.2, 0.2]]), 1e-3)
    torch.testing.assert_close(sharp, torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
