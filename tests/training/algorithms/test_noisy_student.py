"""Noisy Student against its formula, frame by frame."""

from __future__ import annotations

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
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.noisy_student import NoisyStudent
from heart2heart.training.distributed import ProcessGroup as Processes
from tests.training.algorithms.test_memory import FakeTrainer

METHOD: dict[str, Any] = {"name": "noisy_student", "params": {"generations": 1}}


def taught(method: NoisyStudent, student: nn.Module, **changes: Any) -> tuple[nn.Module, StepContext]:
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
    teacher, step = taught(method, student)
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
    teacher, step = taught(method, student)
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
    _, step = taught(method, student)
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
        _, step = taught(method, student, group=group)
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
