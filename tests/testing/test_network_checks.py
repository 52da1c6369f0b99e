"""The checks of networks and gradient rules: ours pass, and each fault that they look for is found."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing import check_gradient_rule, check_network
from heart2heart.training.gradient_rules import GRADIENT_RULES, CombinedGradient, GradientRule, UnlabeledGradient
from heart2heart.training.networks import NETWORKS, ClassifierShape, NetworkOptions
from heart2heart.training.networks.wide_resnet import WideResNetOptions


class Small(NetworkOptions):
    """A network with faults."""

    fault: str = ""

    def build(self, shape: ClassifierShape) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(shape.channels * shape.size**2, shape.classes)]
        if self.fault == "shape":
            layers[1] = nn.Linear(shape.channels * shape.size**2, 7)
        if self.fault == "softmax":
            layers.append(nn.Softmax(1))
        if self.fault == "batch":
            layers.append(nn.BatchNorm1d(shape.classes, track_running_stats=False, affine=False))
        return nn.Sequential(*layers)


def test_check_network_passes_ours_and_anothers() -> None:
    check_network(Small())
    check_network(WideResNetOptions(depth=10, widen=1), channels=3)
    check_network(NETWORKS["ResNet10"].parse({"widen_factor": 0.25}, where="test"))
    check_network(NETWORKS["ViT"].parse({"hidden_size": 24, "num_layers": 1, "num_heads": 2}, where="test"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [("shape", r"shape \(3, 7\), not \(3, 4\)"), ("softmax", "return logits, not probabilities")],
)
def test_check_network_finds_faults(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_network(Small(fault=fault))


def test_check_network_finds_logits_that_depend_on_other_frames() -> None:
    with pytest.raises((AssertionError, ValueError), match=r"other frames|more than 1 value per channel"):
        check_network(Small(fault="batch"))


class Halved(GradientRule):
    """Half of the unlabeled gradient, with faults."""

    title: ClassVar[str] = "half"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def combine(
        self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: dict[str, Tensor]
    ) -> CombinedGradient:
        other = unlabeled.gradient()
        if self.fault == "host" and float(other.sum()) > 0:
            other = other.clone()
        if self.fault == "memory":
            memory["last"] = other
        conflict = torch.full((), 2.0 if self.fault == "conflict" else 0.0, device=other.device)
        return CombinedGradient(labeled + weight * (1 if self.fault == "formula" else 0.5) * other, conflict)


def half(labeled: Tensor, frames: Tensor, weight: float) -> Tensor:
    return labeled + weight * frames.mean(0) / 2


def test_check_gradient_rule_passes_anothers_rule() -> None:
    check_gradient_rule(Halved(), reference=half)


@pytest.mark.parametrize("name", list(GRADIENT_RULES))
def test_check_gradient_rule_passes_every_rule(name: str) -> None:
    check_gradient_rule(GRADIENT_RULES[name]())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("host", "the rule waits for the device"),
        ("memory", "the rule added last to its memory"),
        ("conflict", "the conflict 2.0 is no share"),
        ("formula", "the combined gradient: "),
    ],
)
def test_check_gradient_rule_finds_faults(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_gradient_rule(Halved(fault), reference=half)
