"""IOMatch against its formula."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing.algorithm_checks import check_threads, check_unlabeled_loss
from heart2heart.testing.runs import B, K, U, check_resumes, gradient, make_step, tiny_network, train_score
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.io_match import IOMatch, open_set_targets

METHOD = IOMatch(threshold=0.5, open_threshold=0.45, open_set=0.7, one_vs_all=0.6, warmup=0.1)


def test_labeled_loss_adds_the_one_vs_all_loss() -> None:
    network = tiny_network(outputs=3 * K + 1)
    step = make_step(network, views=2, method=METHOD)
    loss = METHOD.labeled_loss(step)
    outputs, total = network(step.labeled), torch.zeros((), dtype=torch.float64)
    for row in range(B):
        label = int(step.targets[row].argmax())
        belongs = outputs[row, K : 2 * K].sigmoid()
        others = [-(1 - belongs[name]).log() for name in range(K) if name != label]
        total = total - outputs[row, :K].log_softmax(0)[label]
        total = total + 0.6 * (torch.stack(others).max() - belongs[label].log())
    torch.testing.assert_close(loss.value, total / B)
    torch.testing.assert_close(gradient(loss.value, network), gradient(total / B, network))


@pytest.mark.parametrize("number", [4, 5])
def test_unlabeled_loss_equals_the_formula(number: int) -> None:
    """The warm-up of a tenth of 50 steps ends before step 5."""

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        weak, strong = (network(view) for view in step.unlabeled)
        total, chosen, counted = torch.zeros((), dtype=torch.float64), 0, 0
        for row in range(U):
            p, o = weak[row, :K].detach().softmax(0).tolist(), weak[row, K : 2 * K].detach().sigmoid().tolist()
            q = [p[name] * o[name] for name in range(K)] + [sum(p[name] * (1 - o[name]) for name in range(K))]
            if q[K] < 0.5 and max(p) >= 0.5:
                chosen += 1
                total = total - sum(p[name] * strong[row, :K].log_softmax(0)[name] for name in range(K))
            if number >= 5 and max(q) >= 0.45:
                counted += 1
                total = total - 0.7 * sum(q[name] * strong[row, 2 * K :].log_softmax(0)[name] for name in range(K + 1))
        assert 0 < chosen < U
        assert number == 4 or 0 < counted < U
        return total / U

    check_unlabeled_loss(METHOD, reference, step=number)
    check_threads(METHOD, step=number)


def test_open_set_targets_are_a_distribution_over_one_class_more() -> None:
    p, o = torch.tensor([[0.2, 0.8], [1.0, 0.0]]).double(), torch.tensor([[0.5, 0.25], [0.0, 1.0]]).double()
    torch.testing.assert_close(open_set_targets(p, o), torch.tensor([[0.1, 0.2, 0.7], [0.0, 0.0, 1.0]]).double())


def test_io_match_learns_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "iomatch", "params": {"threshold": 0.6}}
    assert train_score(tiny, tmp_path / "run", method, alignment_batches=128) > 0.6
    check_resumes(tiny, tmp_path, method=method, alignment_batches=128)
