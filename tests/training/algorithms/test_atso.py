"""ATSO: its loss, its halves, and which model labels which."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from heart2heart.testing.runs import (
    U,
    check_per_sample_dot,
    check_resumes,
    gradient,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import QUICK, TinyStore
from heart2heart.training.algorithms.atso import ATSO
from heart2heart.training.algorithms.base import AlgorithmLoss, StepContext
from heart2heart.training.train import train
from tests.training.algorithms.test_memory import FakeTrainer


def taught(method: ATSO, student: torch.nn.Module) -> tuple[torch.nn.Module, StepContext]:
    """Return a teacher, and a step of a later stage that has it in memory."""
    teacher = tiny_network(7).eval()
    step = make_step(student, views=2, method=method, stage=1)
    for name, value in teacher.state_dict().items():
        step.memory[f"teacher.{name}"].copy_(value)
    return teacher, step


@pytest.mark.parametrize("threshold", [0.0, 0.6])
def test_atso_loss_and_gradient_equal_the_formula(threshold: float) -> None:
    method, student = ATSO(threshold=threshold), tiny_network(0)
    teacher, step = taught(method, student)
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
    _, step = taught(method, student)
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
