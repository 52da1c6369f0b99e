"""Pseudo-Label against its formula, and its gradient against the one of the released code's target."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
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
from heart2heart.training.algorithms.pseudo_label import PseudoLabel

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
