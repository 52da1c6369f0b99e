"""SCOMatch against its formula, and its queue."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.testing.algorithm_checks import check_threads, check_unlabeled_loss
from heart2heart.testing.runs import (
    POOL,
    B,
    K,
    U,
    check_resumes,
    finish_step,
    gradient,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.base import Memory, StepContext
from heart2heart.training.algorithms.sco_match import SCOMatch, open_threshold

METHOD = SCOMatch(threshold=0.5, queue=4, entering=2)


def full_queue(step: StepContext) -> Memory:
    """Put three frames of the batch, one of them too confident, and one that is not in it into the queue."""
    other = next(position for position in range(POOL) if position not in step.pool_index.tolist())
    memory = METHOD.initial_memory(POOL, K, {})
    memory["queue.index"].copy_(torch.tensor([*step.pool_index[:3].tolist(), other]))
    memory["queue.score"].copy_(torch.tensor([0.2, 0.3, 0.9, 0.1]))
    memory["open_threshold"].fill_(0.4)
    return memory


def test_labeled_loss_is_the_cross_entropy_over_one_class_more() -> None:
    network = tiny_network(outputs=K + 1)
    step = make_step(network, views=2, method=METHOD)
    loss = METHOD.labeled_loss(step)
    expected = functional.cross_entropy(network(step.labeled), step.targets.argmax(1))
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, network))
    assert len(step.labeled) == B


def test_unlabeled_loss_equals_the_formula() -> None:
    memory = full_queue(make_step(tiny_network(outputs=K + 1), views=2))

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        weak, strong = (network(view) for view in step.unlabeled)
        total, kinds = torch.zeros((), dtype=torch.float64), set()
        for row in range(U):
            opened = weak[row].detach().softmax(0)
            label = int(opened.argmax())
            if (label == K and float(opened[K]) >= 0.4) or (label < K and float(opened.max()) >= 0.5):
                kinds.add(("open", label == K))
                total = total - strong[row].log_softmax(0)[label]
            if label < K and float(opened.max()) >= 0.5:
                total = total - strong[row, :K].log_softmax(0)[label]
        members = -(weak[0].log_softmax(0)[K] + weak[1].log_softmax(0)[K]) / 2
        assert kinds == {("open", False), ("open", True)}
        loss: Tensor = total / U + members
        return loss

    check_unlabeled_loss(METHOD, reference, memory=memory)


def test_scomatch_of_three_processes_is_that_of_one() -> None:
    check_threads(METHOD)


def test_unlabeled_loss_before_the_warmup_is_that_of_the_classes_alone() -> None:
    network = tiny_network(outputs=K + 1)
    step = make_step(network, views=2, memory=full_queue(make_step(network, views=2)))
    loss = unlabeled_loss(SCOMatch(threshold=0.5, queue=4, warmup=0.5), step)
    assert not bool(gradient(loss.value, network)[-1])  # the bias of the last class


def test_remember_puts_the_least_confident_frames_into_the_queue_in_turn() -> None:
    step = make_step(tiny_network(outputs=K + 1), views=2, method=METHOD)
    scores = torch.linspace(0.9, 0.1, U)
    memory, index = step.memory, step.pool_index
    for turn in range(3):
        METHOD.remember(memory, index, scores.roll(-turn), torch.tensor([1.0, 2.0]))
    order = index.tolist()
    assert memory["queue.index"].tolist() == [order[U - 3], order[U - 4], order[U - 2], order[U - 3]]
    assert memory["queue.score"].tolist() == pytest.approx([0.1, 0.2, 0.1, 0.2])


def test_remember_sets_the_threshold_of_the_last_class_every_half_pass() -> None:
    step = make_step(tiny_network(outputs=K + 1), views=2, method=METHOD)
    memory, scores = step.memory, torch.linspace(0.9, 0.1, U)
    method = SCOMatch(threshold=0.95, queue=4)
    method.remember(memory, step.pool_index, scores, torch.tensor([4.0, 5.0]))
    assert float(memory["open_threshold"]) == pytest.approx(0.95)  # 9 of 20 frames
    method.remember(memory, step.pool_index, scores, torch.tensor([5.0, 5.0]))
    assert float(memory["open_threshold"]) == pytest.approx(0.95 * 9 / 10)
    assert memory["confident"].tolist() == [0, 0]
    assert float(memory["drawn"]) == 0


@pytest.mark.parametrize(("counts", "expected"), [((0.0, 0.0), 0.95), ((0.0, 9.0), 0.75), ((50.0, 9.0), 0.95)])
def test_open_threshold_stays_within_its_limits(counts: tuple[float, float], expected: float) -> None:
    assert float(open_threshold(torch.tensor(counts), 0.95)) == pytest.approx(expected)


def test_sco_match_learns_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "scomatch", "params": {"threshold": 0.6, "queue": 4}}
    assert train_score(tiny, tmp_path / "run", method) > 0.5
    check_resumes(tiny, tmp_path, method=method)


def test_finish_step_fills_the_queue_from_the_batch() -> None:
    network = tiny_network(outputs=K + 1)
    step = make_step(network, views=2, method=METHOD)
    weak = network(step.unlabeled[0]).detach().softmax(1)[:, :K].amax(1)
    unlabeled_loss(METHOD, step)
    finish_step(step)
    lowest = weak.argsort()[:2]
    assert step.memory["queue.index"][:2].tolist() == step.pool_index[lowest].tolist()
