"""Losses, class weights and the two scales against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from heart2heart.training.algorithms.base import AlgorithmLoss
from heart2heart.training.algorithms.weak_to_strong import confidence_mask, pseudo_label_loss
from heart2heart.training.losses import CrossEntropy, LossScale, accuracy, inverse_frequency, labeled_criterion


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((632, 239, 405, 285), (0.135, 0.356, 0.210, 0.299)),
        ((650, 223, 462, 325), (0.137, 0.398, 0.192, 0.273)),
        ((572, 199, 379, 277), (0.134, 0.386, 0.203, 0.277)),
    ],
)
def test_inverse_frequency_of_the_papers_folds(counts: tuple[int, ...], expected: tuple[float, ...]) -> None:
    targets = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    weights = inverse_frequency(targets, 4)
    assert weights.tolist() == pytest.approx(expected, abs=6e-4)
    assert float(weights.sum()) == pytest.approx(1)


def test_cross_entropy_follows_its_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    targets = torch.rand(5, 3, generator=generator, dtype=torch.float64).softmax(-1)
    weights = [0.5, 0.2, 0.3]
    total = scale = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        normaliser = math.log(sum(math.exp(value) for value in row))
        total += sum(w * t * (normaliser - value) for w, t, value in zip(weights, target, row, strict=True))
        scale += sum(w * t for w, t in zip(weights, target, strict=True))
    tensor = torch.tensor(weights, dtype=torch.float64)
    assert float(CrossEntropy(tensor)(logits, targets)) == pytest.approx(total / scale)
    assert float(CrossEntropy(tensor, by_weight=False)(logits, targets)) == pytest.approx(total / 5)


def test_cross_entropy_of_hard_targets_without_weights_is_the_usual_loss() -> None:
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    targets = torch.nn.functional.one_hot(labels, 4).float()
    usual = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(CrossEntropy()(logits, targets), usual)
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
    usual = torch.nn.functional.cross_entropy(logits, labels, weight=weights)
    torch.testing.assert_close(CrossEntropy(weights)(logits, targets), usual)


def test_cross_entropy_label_smoothing_follows_its_formula_and_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(7, 4, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    targets = torch.eye(4, dtype=torch.float64)[labels]
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    total = scale = 0.0
    for row, label in zip(logits.log_softmax(1).tolist(), labels.tolist(), strict=True):
        smooth = [0.1 / 4 + (0.9 if k == label else 0.0) for k in range(4)]
        total -= sum(float(w) * t * value for w, t, value in zip(weights, smooth, row, strict=True))
        scale += float(weights[label])
    assert float(CrossEntropy(weights, smoothing=0.1)(logits, targets)) == pytest.approx(total / scale)
    usual = torch.nn.functional.cross_entropy(logits, labels, weight=weights, label_smoothing=0.1)
    torch.testing.assert_close(CrossEntropy(weights, smoothing=0.1)(logits, targets), usual)
    soft = torch.rand(7, 4, generator=generator, dtype=torch.float64).softmax(1)
    usual = torch.nn.functional.cross_entropy(logits, soft, label_smoothing=0.1)
    torch.testing.assert_close(CrossEntropy(by_weight=False, smoothing=0.1)(logits, soft), usual)


@pytest.mark.parametrize("by_weight", [True, False])
def test_cross_entropy_ignores_frames_that_do_not_count(by_weight: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator)
    targets = torch.rand(5, 3, generator=generator).softmax(1)
    criterion = CrossEntropy(torch.tensor([0.5, 0.2, 0.3]), by_weight=by_weight)
    kept = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0])
    torch.testing.assert_close(criterion(logits, targets, kept), criterion(logits[[0, 2, 3]], targets[[0, 2, 3]]))
    assert float(criterion(logits, targets, torch.zeros(5))) == 0


def test_labeled_criterion_official_scale_lowers_the_loss_of_mixing_runs_alone() -> None:
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor([632, 239, 405, 285]))
    targets = torch.nn.functional.one_hot(labels, 4).float()
    logits = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    weights = inverse_frequency(labels, 4)
    loss = {
        (scale, mixing): float(labeled_criterion(weights, scale, mixing=mixing)(logits, targets))
        for scale in ("sum_of_weights", "official")
        for mixing in (False, True)
    }
    assert loss["official", False] == loss["sum_of_weights", False] == loss["sum_of_weights", True]
    assert loss["official", True] / loss["official", False] == pytest.approx(0.218, abs=5e-4)


def test_pseudo_label_loss_is_a_mean_over_the_whole_batch() -> None:
    guess = torch.tensor([[0.97, 0.03], [0.6, 0.4], [0.04, 0.96], [0.05, 0.95]])
    logits = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    confident = confidence_mask(guess, 0.95)
    loss = AlgorithmLoss.from_samples(pseudo_label_loss(logits, guess, 0.95), {"pseudo_label_rate": confident.mean()})
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2)) + math.log(2)) / 4
    assert float(loss.value) == pytest.approx(expected)
    assert float(loss.metrics["pseudo_label_rate"]) == 0.75
    assert loss.per_sample_loss is not None
    torch.testing.assert_close(loss.per_sample_loss.mean(), loss.value)


def test_accuracy_of_soft_targets() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert float(accuracy(logits, torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]]))) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("counts", "share"), [((632, 239, 405, 285), 0.218), ((650, 223, 462, 325), 0.214), ((572, 199, 379, 277), 0.215)]
)
def test_labeled_criterion_official_equals_sum_of_weights_with_rescaled_settings(
    counts: tuple[int, ...], share: float
) -> None:
    """One SGD step with the settings of a fold of TMED-2, and with lambda / s, rate x s and weight decay / s."""
    targets = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    weights = inverse_frequency(targets, 4).double()
    scale = float(weights[targets].mean())  # the mean weight of a training frame
    assert scale == pytest.approx(share, abs=5e-4)
    x = torch.randn(len(targets), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ends = []
    settings: list[tuple[LossScale, float, float, float]] = [
        ("official", 0.1, 0.5, 5e-4),
        ("sum_of_weights", 0.1 * scale, 0.5 / scale, 5e-4 / scale),
    ]
    for name, rate, weight, decay in settings:
        layer = torch.nn.Linear(3, 4, dtype=torch.float64)
        torch.nn.init.constant_(layer.weight, 0.1)
        torch.nn.init.zeros_(layer.bias)
        optimiser = torch.optim.SGD(layer.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)
        criterion = labeled_criterion(weights, name, mixing=True)
        for _ in range(3):
            logits = layer(x)
            unlabeled = torch.nn.functional.cross_entropy(logits, (targets + 1) % 4)
            optimiser.zero_grad()
            labeled = criterion(logits, torch.eye(4, dtype=torch.float64)[targets])
            torch.autograd.backward([labeled + weight * unlabeled])
            optimiser.step()
        ends.append(layer.weight.detach().clone())
    torch.testing.assert_close(ends[0], ends[1])
