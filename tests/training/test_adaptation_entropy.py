"""Entropy minimisation: its loss against scipy, what it changes and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.stats import entropy
from torch import nn

from heart2heart.training.adaptation_entropy import minimise_entropy, weighted_entropy
from heart2heart.training.adaptation_statistics import FrameBatch


def test_weighted_entropy_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(size=(6, 3)), rng.uniform(0.1, 2, 6)
    expected = np.average(entropy(torch.tensor(logits).softmax(1).numpy(), axis=1), weights=weights)
    np.testing.assert_allclose(float(weighted_entropy(torch.tensor(logits), torch.tensor(weights))), expected)


def test_minimise_entropy_lowers_it_by_scale_and_shift_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pixels = torch.randint(0, 256, (8, 6, 6), dtype=torch.uint8)

    def batches() -> Iterator[FrameBatch]:
        for start in (0, 4):
            yield FrameBatch(pixels[start : start + 4], ["p"] * 4, np.ones(4))

    entropies = minimise_entropy(network, batches, steps=21, rate=0.02)
    assert len(entropies) == 21
    assert np.mean(entropies[-4:]) < np.mean(entropies[:4])
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"1.weight", "1.bias"}
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
