"""The Pi-model, Mean Teacher and Temporal Ensembling against their formulas."""

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
from heart2heart.training.algorithms.consistency import MeanTeacher, PiModel, TemporalEnsembling
from heart2heart.training.distributed import ProcessGroup as Processes


def test_pi_model_loss_is_the_mean_squared_difference_of_two_views() -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=2)
    first, second = (reference(view) for view in step.unlabeled)
    total = torch.zeros((), dtype=torch.float64)
    for a, b in zip(first.detach(), second, strict=True):
        p, q = a.exp() / a.exp().sum(), b.exp() / b.exp().sum()
        total = total + sum(((q[k] - p[k]) ** 2 for k in range(K)), torch.zeros(()))
    expected = total / (U * K)
    loss = unlabeled_loss(PiModel(), step)
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, reference))


def test_pi_model_records_statistics_of_the_first_view_alone() -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=2)
    unlabeled_loss(PiModel(), step)
    reference(step.unlabeled[0])
    assert torch.equal(network.state_dict()["1.running_mean"], reference.state_dict()["1.running_mean"])


def test_pi_model_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    check_per_sample_dot(PiModel(), make_step(network, views=2), network)


def test_pi_model_learns(tiny: TinyStore, tmp_path: Path) -> None:
    assert train_score(tiny, tmp_path / "run", {"name": "pi_model"}, unlabeled_weight={"value": 10.0, "ramp": 20}) > 0.6


def test_mean_teacher_is_the_average_in_evaluation_mode() -> None:
    network, teacher = tiny_network(0), tiny_network(1)
    reference = copy.deepcopy(network)
    step = make_step(network, views=2, average=copy.deepcopy(teacher))
    student = reference(step.unlabeled[0])
    taught = teacher.eval()(step.unlabeled[1]).detach()
    total = torch.zeros((), dtype=torch.float64)
    for a, b in zip(student, taught, strict=True):
        p, q = a.exp() / a.exp().sum(), b.exp() / b.exp().sum()
        total = total + sum(((p[k] - q[k]) ** 2 for k in range(K)), torch.zeros(()))
    expected = total / (U * K)
    loss = unlabeled_loss(MeanTeacher(), step)
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, reference))


def test_mean_teacher_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    check_per_sample_dot(MeanTeacher(), make_step(network, views=2, average=tiny_network(1)), network)


def test_mean_teacher_learns(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "mean_teacher"}
    assert train_score(tiny, tmp_path / "run", method, unlabeled_weight={"value": 50.0, "ramp": 400}) > 0.6


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
