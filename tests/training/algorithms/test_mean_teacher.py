"""Mean Teacher against its formula."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from heart2heart.testing.runs import (
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
from heart2heart.training.algorithms.mean_teacher import MeanTeacher


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
