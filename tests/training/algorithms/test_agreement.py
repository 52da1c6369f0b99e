"""Pseudo-labels weighted by agreement, against the formula."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing.algorithm_checks import check_threads, check_unlabeled_loss
from heart2heart.testing.runs import POOL, U, check_resumes, finish_step, make_step, tiny_network, train_score
from heart2heart.testing.runs import unlabeled_loss as checked_loss
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.agreement import AgreementWeighting
from heart2heart.training.algorithms.base import StepContext

METHOD = AgreementWeighting(fading=0.7)


def labels(network: nn.Module, frames: Tensor) -> list[int]:
    found_labels: list[int] = network(frames).argmax(1).tolist()
    return found_labels


def test_unlabeled_loss_equals_the_formula() -> None:
    average = tiny_network(seed=1).eval()
    # Every class was the last label of a third of the pool; a fifth of the pool was never drawn.
    last = torch.arange(POOL) % 3 - 0.0
    last[::5] = -1
    memory = {"label": last, "visits": torch.arange(POOL) / 4.0, "agreed": torch.arange(POOL) / 8.0}
    memory = {name: torch.where(last < 0, -1.0 if name == "label" else 0.0, value) for name, value in memory.items()}

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        weak, second, strong = step.unlabeled
        by_average, by_network, logits = labels(average, weak), labels(network, second), network(strong)
        total, weights = torch.zeros((), dtype=torch.float64), set()
        for row, position in enumerate(step.pool_index.tolist()):
            before = float(last[position])
            agreed = 0.7 * float(memory["agreed"][position])
            agreed += float(before == by_average[row] == by_network[row])
            visits = 0.7 * float(memory["visits"][position]) + float(before >= 0)
            weights.add((1 + agreed) / (2 + visits))
            total = total - (1 + agreed) / (2 + visits) * logits[row].log_softmax(0)[by_average[row]]
        assert len(weights) > 3
        return total / U

    copies = {name: value.clone() for name, value in memory.items()}
    check_unlabeled_loss(METHOD, reference, average=average, memory=copies)
    check_threads(METHOD)


def test_remember_follows_the_visits_of_a_frame() -> None:
    network = tiny_network()
    step = make_step(network, views=3, method=METHOD, average=tiny_network(seed=1))
    weights = []
    for _ in range(4):
        loss = checked_loss(METHOD, step)
        weights.append(float(loss.metrics["pseudo_label_weight"]))
        finish_step(step)
    assert weights[0] == pytest.approx(0.5)
    drawn = step.pool_index
    torch.testing.assert_close(step.memory["visits"][drawn], torch.full((U,), 1 + 0.7 + 0.49))
    assert float(step.memory["visits"].sum()) == pytest.approx(U * 2.19, rel=1e-5)
    rate = float(loss.metrics["agreement_rate"])
    expected = (1 + 2.19 * rate * U / U) / (2 + 2.19)
    assert weights[-1] == pytest.approx(expected, rel=1e-5)


def test_remember_of_a_repeated_frame_does_not_depend_on_the_order() -> None:
    memory = METHOD.initial_memory(POOL, 3, {})
    rows = torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    METHOD.remember(memory, torch.tensor([4, 4, 7]), rows)
    other = METHOD.initial_memory(POOL, 3, {})
    METHOD.remember(other, torch.tensor([7, 4, 4]), rows.flip(0))
    assert memory["label"][4] == 2
    assert memory["agreed"][4] == 0.5
    assert all(torch.equal(memory[name], value) for name, value in other.items())


def test_agreement_weighting_learns_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "agreement_weighting"}
    assert train_score(tiny, tmp_path / "run", method) > 0.5
    check_resumes(tiny, tmp_path, method=method)
