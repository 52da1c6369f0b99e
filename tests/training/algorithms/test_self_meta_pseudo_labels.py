"""Self meta pseudo labels: the step ahead on a copy of the network, and the loss that its outcome weights."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.testing.processes import run_threads
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
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.self_meta_pseudo_labels import SelfMetaPseudoLabels
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.losses import CrossEntropy

LR, TEMPERATURE, THRESHOLD, CONSISTENCY = 0.1, 1.5, 0.5, 3.0
WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
METHOD = SelfMetaPseudoLabels(temperature=TEMPERATURE, threshold=THRESHOLD, consistency=CONSISTENCY, ramp=4)


def weighted_loss(network: nn.Module, frames: Tensor, targets: Tensor) -> Tensor:
    total: Tensor = -(targets * WEIGHTS * network(frames).log_softmax(1)).sum()
    return total / (targets * WEIGHTS).sum()


@pytest.mark.parametrize("seed", [0, 1])
def test_unlabeled_loss_and_gradient_equal_the_formula(seed: int) -> None:
    network = tiny_network(seed)
    step = make_step(network, views=2, method=METHOD, seed=seed, step=2, lr=LR, criterion=CrossEntropy(WEIGHTS))
    step.memory["usual_gain"].fill_(0.01)
    before = copy.deepcopy(network.state_dict())
    ahead = copy.deepcopy(network)
    weak, strong = step.unlabeled
    guesses = ahead(weak).detach()
    labels = guesses.argmax(1)
    total = -ahead(strong).log_softmax(1)[range(U), labels].mean()
    slopes = torch.autograd.grad(total, list(ahead.parameters()))
    with torch.no_grad():
        old = weighted_loss(ahead, step.labeled, step.targets)
        for weight, slope in zip(ahead.parameters(), slopes, strict=True):
            weight.sub_(LR * slope)
        gain = old - weighted_loss(ahead, step.labeled, step.targets)
    usual = 0.99 * 0.01 + 0.01 * gain
    feedback = float(gain - usual)
    assert abs(feedback) > 1e-3

    step = METHOD.prepare_batch(step)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])  # nothing was stepped, nothing recorded
    assert float(step.memory["feedback"]) == pytest.approx(feedback, rel=1e-5)
    assert float(step.memory["usual_gain"]) == pytest.approx(float(usual), rel=1e-5)
    loss = unlabeled_loss(METHOD, step)
    log = network(strong).log_softmax(1)
    expected, confident = torch.zeros((), dtype=torch.float64), 0
    for row in range(U):
        soft = (guesses[row] / TEMPERATURE).softmax(0)
        expected = expected - log[row, labels[row]] - feedback * log[row].max()
        if float(soft.max()) >= THRESHOLD:
            confident += 1
            expected = expected - CONSISTENCY * 3 / 4 * (soft * log[row]).sum()
    assert 0 < confident < U
    torch.testing.assert_close(loss.value, expected / U, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected / U, network), rtol=1e-5, atol=1e-7)


def test_prepare_batch_makes_helpful_labels_firmer_and_harmful_ones_weaker() -> None:
    """Labeled frames as the pool: their own labels lower the labeled loss, false ones raise it."""
    signs = []
    for turn in (0, 1):
        network = tiny_network(0)
        step = make_step(network, views=2, method=METHOD, lr=LR)
        # What the network guesses, or the class after it, is what the labeled frames are said to be.
        guessed = network(step.labeled).argmax(1)
        targets = functional.one_hot((guessed + turn) % 3, 3).double()
        frames = step.labeled.clone()
        step = make_step(network, views=0, method=METHOD, lr=LR, labeled=frames, targets=targets,
                         unlabeled=(frames.clone(), frames.clone()))  # fmt: skip
        METHOD.prepare_batch(step)
        signs.append(float(step.memory["feedback"]))
    assert signs[0] > 0 > signs[1]


def test_self_meta_pseudo_labels_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    check_per_sample_dot(METHOD, METHOD.prepare_batch(make_step(network, views=2, method=METHOD)), network)


def test_prepare_batch_gives_one_feedback_in_all_processes() -> None:
    def work(group: Processes) -> tuple[Tensor, Tensor]:
        network = tiny_network()
        criterion = CrossEntropy(WEIGHTS, group=group)
        step = make_step(network, views=2, method=METHOD, group=group, criterion=criterion)
        network.eval()  # batch statistics would differ by process
        step = METHOD.prepare_batch(step)
        return step.memory["feedback"], group.mean(gradient(unlabeled_loss(METHOD, step).value, network))

    (feedback, flat) = work(Processes())
    for other, others_flat in run_threads(3, work):
        torch.testing.assert_close(other, feedback)
        torch.testing.assert_close(others_flat, flat)


def test_self_meta_pseudo_labels_learns(tiny: TinyStore, tmp_path: Path) -> None:
    assert train_score(tiny, tmp_path, {"name": "self_meta_pseudo_labels"}) > 0.6  # chance is 0.25


def test_self_meta_pseudo_labels_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "self_meta_pseudo_labels"})
