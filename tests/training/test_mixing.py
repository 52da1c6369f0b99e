"""The two halves of Fix-A-Step by themselves."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import nn

from heart2heart.training.mixing import LabeledMix, draw_mix, mix_labeled, soft_pseudo_labels
from heart2heart.training.optimiser import assign_gradient, flat_gradient


def test_draw_mix_share_is_the_larger_part_of_a_beta_draw() -> None:
    generator = torch.Generator().manual_seed(0)
    shares = np.array([float(draw_mix(0.5, 6, generator).share) for _ in range(2000)])
    assert shares.min() >= 0.5
    beta = stats.beta(0.5, 0.5)
    folded = stats.kstest(shares, lambda x: beta.cdf(x) - beta.cdf(1 - x))
    assert folded.pvalue > 0.01


def test_draw_mix_order_is_a_permutation_of_all_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    orders = [draw_mix(0.5, 9, generator).order.tolist() for _ in range(20)]
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len({tuple(order) for order in orders}) > 15


def test_draw_mix_of_a_tiny_alpha_is_finite() -> None:
    generator = torch.Generator().manual_seed(0)
    assert all(0.5 <= float(draw_mix(1e-3, 3, generator).share) <= 1 for _ in range(200))


def test_mix_labeled_keeps_the_labeled_rows_with_their_partners() -> None:
    labeled, first, second = (torch.full((2, 1), float(value)) for value in (0, 10, 20))
    targets, guesses = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    mix = LabeledMix(torch.tensor(0.75, dtype=torch.float64), torch.tensor([2, 5, 0, 1, 3, 4]))
    frames, labels = mix_labeled(labeled, targets, first, second, guesses, mix)
    assert frames.flatten().tolist() == [2.5, 5.0]
    assert labels.tolist() == [[0.75, 0.25], [0.875, 0.125]]


def test_soft_pseudo_labels_sharpen_the_mean_and_leave_running_statistics_unchanged() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = torch.randn(5, 4), torch.randn(5, 4)
    guesses = soft_pseudo_labels(network, first, second, 0.5, 3)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    norm, linear = network
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.track_running_stats
    parts = []
    for x in (first, second):
        x = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
        parts.append(linear(x).softmax(1))
    mean = (parts[0] + parts[1]) / 2
    torch.testing.assert_close(guesses, mean**2 / (mean**2).sum(1, keepdim=True))
    assert not guesses.requires_grad


def test_flat_gradient_is_zero_where_a_parameter_has_no_part() -> None:
    used, unused = nn.Parameter(torch.tensor([[1.0, 2.0]])), nn.Parameter(torch.ones(3))
    flat = flat_gradient((used**2).sum(), [used, unused])
    assert flat.tolist() == [2, 4, 0, 0, 0]
    assign_gradient([used, unused], flat)
    assert used.grad is not None
    assert used.grad.tolist() == [[2, 4]]
    assert unused.grad is not None
    assert unused.grad.tolist() == [0, 0, 0]
