"""DS3L and self meta pseudo labels against their derivation."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional

from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.processes import run_threads
from heart2heart.testing.runs import (
    POOL,
    K,
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
from heart2heart.training import checkpoint
from heart2heart.training.algorithms import meta_learning
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.meta_learning import DS3L, SelfMetaPseudoLabels, frame_weights
from heart2heart.training.data import TrainData
from heart2heart.training.distributed import ProcessGroup as Processes
from heart2heart.training.losses import CrossEntropy
from heart2heart.training.train import train
from heart2heart.training.validation import infer

DS3L_LR, LAMBDA, METHOD_LR = 0.5, 3.0, 0.02
CLASS_WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
LAYERS = ("hidden.weight", "hidden.bias", "last.weight", "last.bias")


def make(method: DS3L, network: nn.Module, memory: dict[str, Tensor] | None = None, **changes: Any) -> StepContext:
    """Return a step whose memory is float64, so that it can be compared closely."""
    memory = memory or {name: value.double() for name, value in method.initial_memory(POOL, K, {}).items()}
    content: dict[str, Any] = {
        "memory": memory,
        "lr": DS3L_LR,
        "weight": LAMBDA,
        "criterion": CrossEntropy(CLASS_WEIGHTS),
    }
    return make_step(network, views=2, **content | changes)


def weigh(layers: dict[str, Tensor], guess: Tensor) -> Tensor:
    hidden = (guess @ layers["hidden.weight"].T + layers["hidden.bias"]).clamp(min=0)
    return 1 / (1 + torch.exp(-(hidden @ layers["last.weight"].T + layers["last.bias"])[:, 0]))


def slopes_through_the_step(
    network: nn.Module, step: StepContext, layers: dict[str, Tensor], *, normalised: bool
) -> dict[str, Tensor]:
    """Differentiate the labeled loss after one step by the weighting function: second derivatives, as the authors."""
    weights = {name: value.detach().clone().requires_grad_() for name, value in network.named_parameters()}

    def labeled(at: dict[str, Tensor]) -> Tensor:
        logits = functional_call(network, at, (step.labeled,))
        each: Tensor = -(step.targets * CLASS_WEIGHTS * logits.log_softmax(1)).sum(1)
        return each.sum() / (step.targets * CLASS_WEIGHTS).sum()

    first, second = (functional_call(network, weights, (view,)).softmax(1) for view in step.unlabeled)
    each = ((second - first.detach()) ** 2).mean(1)
    own = weigh(layers, first.detach())
    consistency = (own * each).sum() / (own.sum() if normalised else len(own))
    moves = torch.autograd.grad(labeled(weights) + LAMBDA * consistency, list(weights.values()), create_graph=True)
    ahead = {name: value - DS3L_LR * move for (name, value), move in zip(weights.items(), moves, strict=True)}
    return dict(zip(layers, torch.autograd.grad(labeled(ahead), list(layers.values())), strict=True))


@pytest.mark.parametrize("normalised", [True, False])
def test_ds3l_two_updates_of_the_weighting_function_equal_differentiation_through_the_step(normalised: bool) -> None:
    method = DS3L(hidden=8, lr=METHOD_LR, normalised=normalised)
    network = tiny_network()
    step = make(method, network)
    layers = {name: step.memory[name].clone().requires_grad_() for name in LAYERS}
    adam = torch.optim.Adam(list(layers.values()), lr=METHOD_LR)
    before = copy.deepcopy(network.state_dict())
    for seed in (0, 1):
        step = make(method, network, step.memory, seed=seed)
        reference = copy.deepcopy(network)
        for name, slope in slopes_through_the_step(reference, step, layers, normalised=normalised).items():
            assert float(slope.abs().max()) > 0
            layers[name].grad = slope
        adam.step()
        method.prepare_batch(step)
        for name, value in layers.items():
            torch.testing.assert_close(step.memory[name], value.detach(), atol=1e-9, rtol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    loss = unlabeled_loss(method, step)
    first, second = (network(view).softmax(1) for view in step.unlabeled)
    own = weigh(layers, first).detach()
    expected = (own * ((second - first.detach()) ** 2).mean(1)).sum() / (own.sum() if normalised else len(own))
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, network))
    assert float(loss.metrics["frame_weight"]) == pytest.approx(float(own.mean()))


def test_ds3l_per_sample_dot_agrees_with_finite_differences() -> None:
    method, network = DS3L(), tiny_network()
    check_per_sample_dot(method, method.prepare_batch(make(method, network)), network)


@pytest.mark.parametrize("normalised", [True, False])
def test_ds3l_keeps_one_weighting_function_in_all_processes(normalised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    method = DS3L(hidden=8, lr=METHOD_LR, normalised=normalised)
    one_at_a_time = threading.Lock()  # threads stand for processes here, and torch counts its levels of jvp globally

    def alone(*arguments: Any) -> Any:
        with one_at_a_time:
            return jvp(*arguments)

    monkeypatch.setattr(meta_learning, "jvp", alone)

    def work(group: Processes) -> tuple[Tensor, dict[str, Tensor]]:
        network = tiny_network()
        criterion = CrossEntropy(CLASS_WEIGHTS, group=group)
        step = make(method, network, group=group, criterion=criterion)
        network.eval()  # batch statistics would differ by process
        step = method.prepare_batch(step)
        return group.mean(gradient(unlabeled_loss(method, step).value, network)), step.memory

    (flat, memory) = work(Processes())
    for other, others_memory in run_threads(3, work):
        torch.testing.assert_close(other, flat)
        for name, value in memory.items():
            torch.testing.assert_close(others_memory[name], value)


def test_ds3l_learns_and_gives_frames_of_no_class_less_weight(uncurated: TinyStore, tmp_path: Path) -> None:
    config = uncurated.config(method={"name": "ds3l", "params": {"lr": 0.01}}, optimiser={"lr": 0.01}, steps=80,
                              checkpoint_every=80, evaluate_every=80, log_every=80,
                              batch={"labeled": 24, "unlabeled": 32}, **QUICK)  # fmt: skip
    run = train(config, tmp_path / "run")
    assert run.directory.record.selected_score > 0.6  # chance is 0.25
    frames = FrameStores.open([uncurated.store])
    pool = TrainData.open(SplitManifest.load(uncurated.split), frames, config).unlabeled
    guess = infer(run.network, torch.from_numpy(frames.read(pool))).softmax(1)
    weights = frame_weights(checkpoint.load(run.directory.last_checkpoint)["memory"]["method"], guess)
    alien = torch.from_numpy(uncurated.pool_is_alien())
    assert float(weights[alien].mean()) < float(weights[~alien].mean()) / 2


def test_ds3l_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    check_resumes(tiny, tmp_path, method={"name": "ds3l"})


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
