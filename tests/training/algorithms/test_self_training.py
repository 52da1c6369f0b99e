"""Pseudo-Label, Noisy Student and ATSO: their losses by formula, and which model labels which frames."""

from __future__ import annotations

import copy
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import (
    POOL,
    K,
    U,
    check_per_sample_dot,
    check_resumes,
    finish_step,
    gradient,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import QUICK, TinyStore
from heart2heart.training.algorithms.base import AlgorithmLoss, StepContext
from heart2heart.training.algorithms.self_training import ATSO, NoisyStudent, PseudoLabel
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.train import train
from tests.training.algorithms.test_memory import FakeTrainer

THRESHOLD = 0.6


@pytest.mark.parametrize("scale", [False, True])
def test_pseudo_label_follows_its_formula_and_the_released_gradient(scale: bool) -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=1)
    own = released = torch.zeros((), dtype=torch.float64)
    confident = 0
    for logits in reference(step.unlabeled[0]):
        p = logits.exp() / logits.exp().sum()
        best = int(p.argmax())
        target = p.detach().clone()  # below the threshold the released target is the guess itself
        if float(p.detach().max()) >= THRESHOLD:
            confident += 1
            target = torch.zeros(K, dtype=torch.float64)
            target[best] = K if scale else 1
            own = own - target[best] * p[best].log() / U
        released = released - (target * p.log()).sum() / U
    assert 0 < confident < U
    loss = unlabeled_loss(PseudoLabel(threshold=THRESHOLD, scale_by_classes=scale), step)
    torch.testing.assert_close(loss.value, own)
    torch.testing.assert_close(gradient(loss.value, network), gradient(released, reference))
    assert float(loss.metrics["pseudo_label_rate"]) == pytest.approx(confident / U)


def test_pseudo_label_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    check_per_sample_dot(PseudoLabel(threshold=THRESHOLD, scale_by_classes=True), make_step(network, views=1), network)


def test_pseudo_label_learns(tiny: TinyStore, tmp_path: Path) -> None:
    assert train_score(tiny, tmp_path / "run", {"name": "pseudo_label", "params": {"threshold": 0.8}}) > 0.6


METHOD: dict[str, Any] = {"name": "noisy_student", "params": {"generations": 1}}


def noisy_student_teacher(method: NoisyStudent, student: nn.Module, **changes: Any) -> tuple[nn.Module, StepContext]:
    """Return a teacher, and a step of a later stage that has it in memory."""
    teacher = tiny_network(7).eval()
    step = make_step(student, views=2, method=method, stage=1, **changes)
    for name, value in teacher.state_dict().items():
        step.memory[f"teacher.{name}"].copy_(value)
    step.memory["named"].copy_(torch.tensor([6.0, 1.0, 2.0]))
    return teacher, step


@pytest.mark.parametrize("labels", ["soft", "hard"])
@pytest.mark.parametrize("balance", [True, False])
def test_noisy_student_loss_and_gradient_equal_the_formula(labels: str, balance: bool) -> None:
    method = NoisyStudent.parse({"labels": labels, "balance": balance, "threshold": 0.6}, where="test")
    student = tiny_network(0)
    teacher, step = noisy_student_teacher(method, student)
    loss = unlabeled_loss(method, step)
    log = student(step.unlabeled[1]).log_softmax(1)
    total, counts = torch.zeros((), dtype=torch.float64), [0.0] * K
    for row, guess in enumerate(teacher(step.unlabeled[0]).softmax(1).tolist()):
        first = guess.index(max(guess))
        if guess[first] < 0.6:
            continue
        counts[first] += 1
        # Named 9 times in all: each class should have been named 3 times.
        weight = (3 / 6, 3 / 1, 3 / 2)[first] if balance else 1.0
        for k in range(K):
            total = total - weight * (guess[k] if labels == "soft" else float(k == first)) * log[row, k]
    assert 0 < sum(counts) < U
    torch.testing.assert_close(loss.value, total / U, rtol=1e-6, atol=0)  # the counts are float32
    torch.testing.assert_close(gradient(loss.value, student), gradient(total / U, student), rtol=1e-5, atol=1e-8)
    assert float(loss.metrics["pseudo_label_rate"]) == pytest.approx(sum(counts) / U)
    finish_step(step)
    named = [6.0, 1.0, 2.0]
    assert step.memory["named"].tolist() == [
        a + b for a, b in zip(named, counts if balance else [0.0] * K, strict=True)
    ]


def test_noisy_student_limits_the_weight_of_a_rare_class() -> None:
    method = NoisyStudent(threshold=0.0, labels="hard")
    student = tiny_network(0)
    teacher, step = noisy_student_teacher(method, student)
    step.memory["named"].copy_(torch.tensor([1.0, 1e6, 1e6]))
    loss = unlabeled_loss(method, step)
    assert loss.per_sample_loss is not None
    each = nn.functional.cross_entropy(
        student(step.unlabeled[1]), teacher(step.unlabeled[0]).argmax(1), reduction="none"
    )
    rare = teacher(step.unlabeled[0]).argmax(1) == 0
    assert 0 < int(rare.sum()) < U
    torch.testing.assert_close(loss.per_sample_loss[rare], 10 * each[rare])


def test_noisy_student_per_sample_dot_agrees_with_finite_differences() -> None:
    method = NoisyStudent(threshold=0.5)
    student = tiny_network(0)
    _, step = noisy_student_teacher(method, student)
    check_per_sample_dot(method, step, student)


def test_noisy_student_learns_from_labels_first_and_begins_each_later_stage_anew() -> None:
    method = NoisyStudent(generations=2)
    assert method.stages(30) == (0, 10, 20)
    step = make_step(tiny_network(), views=2, method=method)
    assert method.unlabeled_loss(step) is None
    average = tiny_network(3).state_dict()
    surroundings = FakeTrainer(step.memory, average)
    method.on_stage_start(0, surroundings)
    assert surroundings.restarts == 0
    step.memory["named"].fill_(8)
    method.on_stage_start(1, surroundings)
    assert surroundings.restarts == 1
    assert step.memory["named"].tolist() == [1.0] * K
    assert all(torch.equal(step.memory[f"teacher.{name}"], value) for name, value in average.items())
    assert all(value.numel() < POOL * K or name.startswith("teacher.") for name, value in step.memory.items())


def test_noisy_student_counts_classes_over_all_processes() -> None:
    def work(group: Processes) -> tuple[Tensor, Tensor]:
        student = tiny_network()
        method = NoisyStudent(threshold=0.5)
        _, step = noisy_student_teacher(method, student, group=group)
        student.eval()  # batch statistics would differ by process
        flat = gradient(unlabeled_loss(method, step).value, student)
        finish_step(step)
        return group.mean(flat), step.memory["named"]

    (flat, named) = work(Processes())
    for other, counts in run_threads(3, work):
        torch.testing.assert_close(other, flat)
        assert torch.equal(counts, named)


def test_noisy_student_learns(tiny: TinyStore, tmp_path: Path) -> None:
    assert train_score(tiny, tmp_path, METHOD, steps=60, evaluate_every=60, **QUICK) > 0.6  # chance is 0.25


def test_noisy_student_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    # Stages begin at 0, 4 and 8; the checkpoint at 8 has been taken before the second student begins.
    params = {"name": "noisy_student", "params": {"generations": 2}}
    check_resumes(tiny, tmp_path, method=params)


def atso_teacher(method: ATSO, student: torch.nn.Module) -> tuple[torch.nn.Module, StepContext]:
    """Return a teacher, and a step of a later stage that has it in memory."""
    teacher = tiny_network(7).eval()
    step = make_step(student, views=2, method=method, stage=1)
    for name, value in teacher.state_dict().items():
        step.memory[f"teacher.{name}"].copy_(value)
    return teacher, step


@pytest.mark.parametrize("threshold", [0.0, 0.6])
def test_atso_loss_and_gradient_equal_the_formula(threshold: float) -> None:
    method, student = ATSO(threshold=threshold), tiny_network(0)
    teacher, step = atso_teacher(method, student)
    loss = unlabeled_loss(method, step)
    log = student(step.unlabeled[1]).log_softmax(1)
    total, counted = torch.zeros((), dtype=torch.float64), 0
    for row, guess in enumerate(teacher(step.unlabeled[0]).softmax(1).tolist()):
        if max(guess) >= threshold:
            counted += 1
            total = total - log[row, guess.index(max(guess))]
    assert counted == U if threshold == 0 else 0 < counted < U
    torch.testing.assert_close(loss.value, total / U)
    torch.testing.assert_close(gradient(loss.value, student), gradient(total / U, student))


def test_atso_per_sample_dot_agrees_with_finite_differences() -> None:
    method, student = ATSO(), tiny_network(0)
    _, step = atso_teacher(method, student)
    check_per_sample_dot(method, step, student)


@pytest.mark.parametrize("continual", [False, True])
def test_on_stage_start_keeps_the_weights_of_the_teacher_only_if_set(continual: bool) -> None:
    method = ATSO(rounds=1, continual=continual)
    assert method.stages(31) == (0, 10, 20)
    step = make_step(tiny_network(), views=2, method=method)
    assert method.unlabeled_loss(step) is None
    surroundings = FakeTrainer(step.memory, tiny_network(3).state_dict())
    for stage in (0, 1, 2):
        method.on_stage_start(stage, surroundings)
    assert surroundings.restarts == (0 if continual else 2)
    assert all(torch.equal(step.memory[f"teacher.{name}"], value) for name, value in surroundings.average.items())


def test_atso_labels_no_half_with_the_model_that_learned_from_it(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: dict[int, set[int]] = defaultdict(set)
    teachers: dict[int, dict[str, Tensor]] = {}
    original = ATSO.unlabeled_loss

    def spy(self: ATSO, step: StepContext) -> AlgorithmLoss | None:
        if step.stage:
            learned[step.stage] |= set(step.pool_index.tolist())
            teachers[step.stage] = {name: value.clone() for name, value in step.memory.items()}
        return original(self, step)

    monkeypatch.setattr(ATSO, "unlabeled_loss", spy)
    settings: dict[str, Any] = {"batch": {"labeled": 8, "unlabeled": 48}, "log_every": 5, "evaluate_every": 20}
    train(tiny.config(method={"name": "atso"}, steps=20, checkpoint_every=20, **settings), tmp_path / "run")
    pool = set(range(144))
    assert learned[1] | learned[2] == pool
    assert not learned[1] & learned[2]
    assert learned[3] == learned[1]
    assert learned[4] == learned[2]
    for stage in (1, 2, 3):
        now, later = teachers[stage], teachers[stage + 1]
        assert any(not torch.equal(value, later[name]) for name, value in now.items())


def test_atso_learns(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "atso", "params": {"rounds": 1}}
    assert train_score(tiny, tmp_path, method, steps=105, evaluate_every=105, **QUICK) > 0.6  # chance is 0.25


def test_atso_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    # Stages begin at 0, 4 and 8; the checkpoint at 8 has been taken before the second half begins.
    check_resumes(tiny, tmp_path, method={"name": "atso", "params": {"rounds": 1}})
