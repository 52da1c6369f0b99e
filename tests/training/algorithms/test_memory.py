"""A teacher stays as it was appointed, answers in evaluation mode, and stages fill a run."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from heart2heart.errors import ConfigError
from heart2heart.testing.runs import make_step, tiny_network
from heart2heart.training.algorithms.base import Memory
from heart2heart.training.algorithms.memory import equal_stages, teacher_memory, teacher_pseudo_labels, update_teacher


class FakeTrainer:
    """A loop whose average is given."""

    def __init__(self, memory: Memory, average: dict[str, Tensor]) -> None:
        self.memory, self.average, self.restarts = memory, average, 0

    def averaged_weights(self) -> dict[str, Tensor]:
        return self.average

    def reset_weights(self) -> None:
        self.restarts += 1


def test_teacher_pseudo_labels_are_outputs_of_the_teacher_and_leave_it_unchanged() -> None:
    student, teacher = tiny_network(0), tiny_network(7)
    teacher(torch.randn(8, 1, 5, 5, dtype=torch.float64))  # running statistics of its own
    memory = teacher_memory(student.state_dict())
    update_teacher(FakeTrainer(memory, teacher.state_dict()))
    expected = {name: value.clone() for name, value in teacher.state_dict().items()}
    step = make_step(student, views=2, memory=memory)
    guess = teacher_pseudo_labels(step, step.unlabeled[0])
    torch.testing.assert_close(guess, teacher.eval()(step.unlabeled[0]).softmax(-1))
    assert not guess.requires_grad
    with torch.no_grad():
        for weight in teacher.parameters():
            weight.zero_()  # the teacher is a copy
    assert all(torch.equal(memory[f"teacher.{name}"], value) for name, value in expected.items())
    assert torch.equal(teacher_pseudo_labels(step, step.unlabeled[0]), guess)


@given(st.integers(1, 12), st.integers(0, 500))
def test_equal_stages_are_equal_to_a_step(count: int, more: int) -> None:
    steps = count + more
    stages = equal_stages(count, steps, "A method")
    lengths = [end - start for start, end in zip(stages, (*stages[1:], steps), strict=True)]
    assert stages[0] == 0
    assert sum(lengths) == steps
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 1


def test_equal_stages_refuses_a_run_shorter_than_its_stages() -> None:
    with pytest.raises(ConfigError, match="A method has 4 stages here, the run 3 steps"):
        equal_stages(4, 3, "A method")
