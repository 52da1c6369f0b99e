"""The Pi-model against its formula."""

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
from heart2heart.training.algorithms.pi_model import PiModel


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
