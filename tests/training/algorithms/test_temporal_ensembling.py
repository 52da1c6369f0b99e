"""Temporal Ensembling over several visits against its formulas, kept per frame in plain dictionaries."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import (
    POOL,
    K,
    U,
    check_per_sample_dot,
    check_resumes,
    gradient,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.temporal_ensembling import TemporalEnsembling
from heart2heart.training.distributed import ProcessGroup as Processes

ALPHA = 0.6
METHOD = TemporalEnsembling(momentum=ALPHA)


def close(step: StepContext) -> None:
    """Do what is due when a step is done."""
    for work in step.callbacks:
        work()


def test_unlabeled_loss_has_the_corrected_mean_of_earlier_visits_as_target() -> None:
    network = tiny_network()
    memory = METHOD.initial_memory(POOL, K, {})
    earlier_outputs: dict[int, list[Tensor]] = {}
    for seed in range(5):
        reference = copy.deepcopy(network)
        step = make_step(network, views=1, seed=seed, memory=memory)
        expected = torch.zeros((), dtype=torch.float64)
        visited = 0
        for index, logits in zip(step.pool_index.tolist(), reference(step.unlabeled[0]), strict=True):
            p = logits.exp() / logits.exp().sum()
            earlier = earlier_outputs.setdefault(index, [])
            if earlier:
                visited += 1
                z = torch.zeros(K, dtype=torch.float64)
                for old in earlier:
                    z = ALPHA * z + (1 - ALPHA) * old
                expected = expected + ((p - z / (1 - ALPHA ** len(earlier))) ** 2).sum() / (K * U)
            earlier.append(p.detach())
        loss = unlabeled_loss(METHOD, step)
        # The memory is float32.
        torch.testing.assert_close(loss.value, expected, atol=1e-7, rtol=1e-5)
        slope = gradient(expected, reference) if visited else torch.zeros(155, dtype=torch.float64)
        torch.testing.assert_close(gradient(loss.value, network), slope, atol=1e-6, rtol=1e-4)
        assert abs(float(loss.metrics["ensemble_rate"]) - visited / U) < 1e-6
        close(step)
    assert visited > 0
    assert memory["visits"].tolist() == [len(earlier_outputs.get(index, [])) for index in range(POOL)]


def test_remember_counts_a_frame_that_a_batch_holds_twice_once() -> None:
    memory = METHOD.initial_memory(4, 2, {})
    guesses = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    METHOD.remember(memory, torch.tensor([2, 0, 2]), guesses)
    assert memory["visits"].tolist() == [1, 0, 1, 0]
    torch.testing.assert_close(memory["ensemble"], (1 - ALPHA) * torch.tensor([[0.5, 0.5], [0, 0], [0.5, 0.5], [0, 0]]))
    target, known = METHOD.target(memory, torch.tensor([0, 1]))
    torch.testing.assert_close(target, torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    assert known.tolist() == [True, False]


def test_remember_takes_the_whole_batch_in_every_process() -> None:
    def work(group: Processes) -> dict[str, Tensor]:
        step = make_step(tiny_network().eval(), views=1, group=group, method=METHOD)
        guess = step.model_access.ema(step.unlabeled[0]).softmax(-1)
        METHOD.remember(step.memory, group.all_gather(step.pool_index), group.all_gather(guess))
        return step.memory

    alone = work(Processes())
    for memory in run_threads(3, work):
        assert torch.equal(memory["visits"], alone["visits"])
        torch.testing.assert_close(memory["ensemble"], alone["ensemble"])


def test_temporal_ensembling_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    memory = METHOD.initial_memory(POOL, K, {})
    METHOD.remember(memory, torch.arange(POOL), torch.eye(K)[torch.arange(POOL) % K])
    check_per_sample_dot(METHOD, make_step(network, views=1, memory=memory), network)


def test_temporal_ensembling_stopped_resumes_with_its_memory(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "temporal_ensembling"}, batch={"labeled": 8, "unlabeled": 100})


def test_temporal_ensembling_learns(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "temporal_ensembling"}
    batch = {"labeled": 16, "unlabeled": 32}
    assert train_score(tiny, tmp_path / "run", method, batch=batch, unlabeled_weight={"value": 2.4, "ramp": 20}) > 0.6
