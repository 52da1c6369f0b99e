"""VAT against explicit Jacobians: the adversarial direction, the divergence either way, and the entropy."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing.runs import (
    SIZE,
    B,
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
from heart2heart.training.algorithms.consistency import VAT, difference_iteration, exact_iteration, normalise_rows
from heart2heart.training.train import train

EPSILON = 2.0


def jacobian(network: nn.Module, frames: Tensor) -> Tensor:
    """Return the derivative of all logits by all pixels, `(u * classes, u * pixels)`: the batch couples frames."""
    point = frames.clone().requires_grad_()
    logits = copy.deepcopy(network)(point).flatten()
    return torch.stack([torch.autograd.grad(value, point, retain_graph=True)[0].flatten() for value in logits])


def curved(network: nn.Module, frames: Tensor, noise: Tensor) -> Tensor:
    """Return the divergence's Hessian times `noise`, frame by frame scaled to length 1, by matrices."""
    p = copy.deepcopy(network)(frames).softmax(1).detach()
    fisher = torch.zeros(U * K, U * K, dtype=torch.float64)
    for i, row in enumerate(p):
        fisher[i * K : (i + 1) * K, i * K : (i + 1) * K] = torch.diag(row) - torch.outer(row, row)
    j = jacobian(network, frames)
    return lengths_one(j.T @ fisher @ j @ noise.flatten())


def lengths_one(flat: Tensor) -> Tensor:
    rows = flat.reshape(U, SIZE * SIZE)
    scaled: Tensor = rows / rows.square().sum(1, keepdim=True).sqrt()
    return scaled.reshape(U, 1, SIZE, SIZE)


def drawn(seed: int = 0) -> Tensor:
    noise = torch.randn(U, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return lengths_one(noise.flatten())


def entropy(p: Tensor) -> Tensor:
    return -(p * p.log()).sum(1)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_vat_follows_its_formula(weight: float, reverse: bool) -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    method = VAT(epsilon=EPSILON, entropy=weight, reverse=reverse)
    step = make_step(network, views=1)
    frames = step.unlabeled[0]
    neighbours = frames + EPSILON * curved(reference, frames, drawn())
    clean = reference(frames).softmax(1)
    p, q = clean.detach(), reference(neighbours).softmax(1)
    one, other = (q, p) if reverse else (p, q)
    expected = ((one * (one.log() - other.log())).sum(1) + weight * entropy(clean)).mean()
    loss = unlabeled_loss(method, method.prepare_batch(step))
    torch.testing.assert_close(loss.value, expected, atol=1e-10, rtol=1e-7)
    torch.testing.assert_close(gradient(loss.value, network), gradient(expected, reference), atol=1e-9, rtol=1e-6)
    assert ("entropy" in loss.metrics) is bool(weight)


def test_difference_iteration_follows_its_formula() -> None:
    network, xi = tiny_network(), 0.1
    frames = make_step(network, views=1).unlabeled[0]
    noise = drawn()
    p = copy.deepcopy(network)(frames).softmax(1).detach()
    q = copy.deepcopy(network)(frames + xi * noise).softmax(1).detach()
    expected = lengths_one(jacobian(network, frames + xi * noise).T @ (q - p).flatten())
    torch.testing.assert_close(difference_iteration(network, frames, noise, xi), expected)


def test_exact_iteration_is_the_limit_of_finite_differences() -> None:
    step = make_step(tiny_network(), views=1)
    frames, quiet = step.unlabeled[0], step.model_access.no_bn_update
    exact = exact_iteration(quiet, frames, drawn())
    products = (exact * difference_iteration(quiet, frames, drawn(), 1e-6)).flatten(1).sum(1)
    torch.testing.assert_close(products, torch.ones(U, dtype=torch.float64), atol=1e-6, rtol=0)


def test_vat_finds_a_worse_neighbour_in_one_iteration_than_chance() -> None:
    network = tiny_network()
    step = make_step(network, views=1)
    method = VAT(epsilon=0.5, entropy=0)
    adversarial = float(unlabeled_loss(method, method.prepare_batch(step)).metrics["divergence"])
    by_chance = []
    for seed in range(20):
        clean = copy.deepcopy(network)(step.unlabeled[0]).softmax(1).detach()
        other = copy.deepcopy(network)(step.unlabeled[0] + 0.5 * drawn(seed)).softmax(1).detach()
        by_chance.append(float((clean * (clean.log() - other.log())).sum(1).mean()))
    assert adversarial > 2 * max(by_chance)


def test_vat_records_statistics_of_the_frames_alone() -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=1)
    method = VAT()
    unlabeled_loss(method, method.prepare_batch(step))
    reference(step.unlabeled[0])
    assert torch.equal(network.state_dict()["1.running_mean"], reference.state_dict()["1.running_mean"])


def test_normalise_rows_of_tiny_numbers_and_zero() -> None:
    frames = torch.tensor([3.0, 4.0, 0.0, 0.0])[None, None] * torch.tensor([1e-30, 1.0, 0.0])[:, None, None]
    lengths = normalise_rows(frames).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([1.0, 1.0, 0.0]))


def test_vat_per_sample_dot_agrees_with_finite_differences() -> None:
    network = tiny_network()
    method = VAT(epsilon=EPSILON, entropy=0.3)
    check_per_sample_dot(method, method.prepare_batch(make_step(network, views=1)), network)


@pytest.mark.parametrize("rule", ["sum", "per_frame"])
def test_vat_takes_its_steps_in_low_precision(tiny: TinyStore, tmp_path: Path, rule: str) -> None:
    settings = {"method": {"name": "vat"}, "fix_a_step": {"gradient": rule}, "precision": "bfloat16"}
    run = train(tiny.config(steps=2, **settings), tmp_path / "run")
    assert run.info().history[-1]["divergence"] > 0


def test_vat_learns(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "vat", "params": {"epsilon": 3.0}}
    assert train_score(tiny, tmp_path / "run", method, unlabeled_weight={"value": 0.3}) > 0.6


def test_vat_joint_loss_uses_the_outputs_of_the_joint_pass() -> None:
    network = tiny_network()
    reference = copy.deepcopy(network)
    step = make_step(network, views=1, joint=True)
    method = VAT(epsilon=EPSILON, entropy=0)
    step = method.prepare_batch(step)
    frames, neighbours = step.unlabeled
    p = reference(torch.cat([step.labeled, frames]))[B:].softmax(1).detach()
    q = reference(neighbours).softmax(1)
    expected = (p * (p.log() - q.log())).sum(1).mean()
    torch.testing.assert_close(unlabeled_loss(method, step).value, expected)
