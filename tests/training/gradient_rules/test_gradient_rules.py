"""Gradient rules against their formulas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.training.gradient_rules import GRADIENT_RULES, build_gradient_rule
from heart2heart.training.gradient_rules.base import CombinedGradient
from heart2heart.training.gradient_rules.probe import Probe


class Given:
    """An unlabeled term whose gradient is given."""

    per_sample_loss: Tensor | None = None
    probe: Probe | None = None

    def __init__(self, flat: Tensor, sizes: Sequence[int] = ()) -> None:
        self.flat, self.sizes = flat, sizes or [len(flat)]

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        assert loss is None
        return self.flat

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        raise AssertionError("not asked of a gradient that is given")

    def per_sample_head_dot(self, direction: Tensor) -> Tensor:
        raise AssertionError("not asked of a gradient that is given")


def combine(rule: str, labeled: Tensor, unlabeled: Tensor, weight: float) -> CombinedGradient:
    built = build_gradient_rule(rule)
    return built.combine(labeled, Given(unlabeled), weight, built.initial_memory(len(labeled)))


@pytest.mark.parametrize(
    ("unlabeled", "kept"), [([1.0, 1.0], True), ([-1.0, -1.0], False), ([2.0, -1.0], True), ([0.0, 0.0], True)]
)
def test_build_gradient_rule_sum_keeps_all_and_fix_a_step_drops_opposing_gradients(
    unlabeled: list[float], kept: bool
) -> None:
    labeled, other = torch.tensor([1.0, 2.0]), torch.tensor(unlabeled)
    both = labeled + 0.5 * other
    for rule, expected in (("sum", both), ("fix_a_step", both if kept else labeled)):
        decision = combine(rule, labeled, other, 0.5)
        assert torch.equal(decision.gradient, expected)
        assert float(decision.conflict) == float(not kept)


def test_build_gradient_rule_decides_independently_of_the_weight() -> None:
    labeled, unlabeled = torch.tensor([1.0]), torch.tensor([-1e-3])
    for weight in (0.0, 1000.0):
        assert torch.equal(combine("fix_a_step", labeled, unlabeled, weight).gradient, labeled)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3.0))
def test_build_gradient_rule_pcgrad_leaves_no_part_along_an_opposing_gradient(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=7), rng.normal(size=7)
    decision = combine("pcgrad", torch.from_numpy(first), torch.from_numpy(second), weight)
    second = weight * second
    if first @ second < 0:
        first_projected = first - (first @ second) / (second @ second) * second
        second_projected = second - (second @ first) / (first @ first) * first
        expected, conflict = first_projected + second_projected, 1.0
        assert abs(first_projected @ second) < 1e-9
    else:
        expected, conflict = first + second, 0.0
    np.testing.assert_allclose(decision.gradient.numpy(), expected, atol=1e-9)
    assert float(decision.conflict) == conflict


def test_build_gradient_rule_pcgrad_of_a_vanishing_gradient_is_finite() -> None:
    zero, some = torch.zeros(3), torch.tensor([1.0, -2.0, 0.5])
    assert torch.equal(combine("pcgrad", some, zero, 1.0).gradient, some)
    assert torch.equal(combine("pcgrad", zero, some, 1.0).gradient, some)


def test_gradient_rules_decide_for_each_layer() -> None:
    labeled = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0])
    other = torch.tensor([1.0, -2.0, 3.0, -1.0, 1.0])
    decision = GRADIENT_RULES["per_layer"]().combine(labeled, Given(other, [2, 1, 2]), 0.5, {})
    assert decision.gradient.tolist() == [1, 1, 2.5, 0.5, 1.5]
    assert float(decision.conflict) == pytest.approx(1 / 3)


def test_build_gradient_rule_running_mean_outlives_a_noisy_batch() -> None:
    rule = build_gradient_rule("running_mean")
    memory, other = rule.initial_memory(2), torch.tensor([1.0, 0.0])
    for _ in range(5):
        rule.combine(torch.tensor([1.0, 0.0]), Given(other), 1.0, memory)
    noisy = torch.tensor([-0.5, 0.0])
    mean = 1 - 0.99**5  # of the gradients before
    assert rule.combine(noisy, Given(other), 1.0, memory).gradient.tolist() == [0.5, 0.0]
    torch.testing.assert_close(memory["labeled"], torch.tensor([0.99 * mean - 0.005, 0.0]))
    assert torch.equal(combine("fix_a_step", noisy, other, 1.0).gradient, noisy)


class Frames:
    """An unlabeled term of four frames over one parameter vector: losses `x_i . w`, so that gradients are `x_i`."""

    probe: Probe | None = None

    def __init__(self) -> None:
        self.x = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, 2.0], [-3.0, 0.0]])
        self.w = torch.tensor([1.0, 2.0], requires_grad=True)
        self.sizes = [2]

    @property
    def per_sample_loss(self) -> Tensor:
        return self.x @ self.w

    def gradient(self, loss: Tensor | None = None) -> Tensor:
        return torch.autograd.grad(self.per_sample_loss.mean() if loss is None else loss, self.w)[0]

    def per_sample_dot(self, direction: Tensor) -> Tensor:
        return self.x @ direction

    def per_sample_head_dot(self, direction: Tensor) -> Tensor:
        return self.x @ direction


def test_build_gradient_rule_decides_for_each_frame() -> None:
    labeled, frames = torch.tensor([1.0, 0.0]), Frames()
    decision = build_gradient_rule("per_frame").combine(labeled, frames, 2.0, {})
    by_head = build_gradient_rule("per_frame_head").combine(labeled, Frames(), 2.0, {})
    assert torch.equal(by_head.gradient, decision.gradient)
    kept = (frames.x[0] + frames.x[2]) / 4
    torch.testing.assert_close(decision.gradient, labeled + 2.0 * kept)
    assert float(decision.conflict) == 0.5
    rule = build_gradient_rule("per_frame_mean")
    memory = rule.initial_memory(2)
    assert torch.equal(rule.combine(labeled, Frames(), 2.0, memory).gradient, decision.gradient)
    # The mean still points along the first axis, so a batch that points away judges nothing by itself.
    away = torch.tensor([-0.5, 0.0])
    torch.testing.assert_close(rule.combine(away, Frames(), 2.0, memory).gradient, away + 2.0 * kept)


@pytest.mark.parametrize("name", ["per_frame", "per_frame_mean", "per_frame_head", "per_frame_head_mean"])
def test_build_gradient_rule_per_frame_refuses_a_loss_that_is_no_mean_over_frames(name: str) -> None:
    rule = build_gradient_rule(name)
    with pytest.raises(ConfigError, match="frame by frame"):
        rule.combine(torch.ones(2), Given(torch.ones(2)), 1.0, rule.initial_memory(2))


@pytest.mark.parametrize("rule", ["sum", "fix_a_step", "pcgrad", "per_layer"])
def test_build_gradient_rule_never_waits_for_the_device(rule: str) -> None:
    """A tensor without data cannot be read: any `.item()` or branch on the host would raise here."""
    labeled, unlabeled = torch.empty(10, device="meta"), torch.empty(10, device="meta")
    decision = combine(rule, labeled, unlabeled, 1.0)
    assert decision.gradient.shape == (10,)
    with pytest.raises(RuntimeError):
        bool(decision.conflict)


def test_build_gradient_rule_lists_the_known_rules() -> None:
    with pytest.raises(UnknownNameError, match=", ".join(sorted(GRADIENT_RULES))):
        build_gradient_rule("projection")
