"""The choice of the shipped weights: by score, then loss, then the later step; and the mean of the last weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel

from heart2heart.training.selection import BestWeights, ValidationScore, WeightAverage, last_validations

SCORES = st.sampled_from((0.25, 0.5, 0.75))


def network(value: float = 0.0) -> nn.Linear:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, value)
    return model


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=8))
def test_best_weights_update_keeps_the_highest_score_then_the_lowest_loss_then_the_last(
    candidates: list[tuple[float, float]],
) -> None:
    best = BestWeights()
    for step, (score, loss) in enumerate(candidates):
        best.update(step, ValidationScore(score, loss), network(step))
    order = sorted(range(len(candidates)), key=lambda step: (candidates[step][0], -candidates[step][1], step))
    assert (best.step, best.score, best.loss) == (order[-1], *candidates[order[-1]])
    assert best.weights is not None
    assert float(best.weights["weight"]) == order[-1]
    scores = [score for score, _ in candidates]
    assert best.stale == len(scores) - 1 - scores.index(max(scores))  # since the score rose; losses do not count


def test_best_weights_update_compares_perturbed_scores_where_there_are_any() -> None:
    best = BestWeights()
    best.update(1, ValidationScore(0.9, 0.1, perturbed=0.5, perturbed_loss=0.9), network())
    best.update(2, ValidationScore(0.8, 0.2, perturbed=0.6, perturbed_loss=0.8), network(), averaged=3)
    assert (best.step, best.score, best.loss, best.averaged) == (2, 0.6, 0.8, 3)


def test_best_weights_update_always_keeps_the_last() -> None:
    best = BestWeights()
    for step, score in enumerate((0.9, 0.1)):
        best.update(step, ValidationScore(score, 1.0), network(), always=True)
    assert (best.step, best.score) == (1, 0.1)


def test_validation_score_columns_are_named_by_what_was_scored() -> None:
    assert ValidationScore(0.5, 1.5).columns("validation") == {
        "validation_balanced_accuracy": 0.5,
        "validation_loss": 1.5,
    }
    assert ValidationScore(0.5, 1.5, 0.25, 2.5).columns("average") == {
        "average_balanced_accuracy": 0.5,
        "average_loss": 1.5,
        "average_perturbed_accuracy": 0.25,
        "average_perturbed_loss": 2.5,
    }


def test_weight_average_is_the_uniform_mean() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average, reference = WeightAverage(), AveragedModel(model, use_buffers=True)
    for _ in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn_like(parameter))
        model(torch.randn(4, 3))
        average.add(model)
        reference.update_parameters(model)
    assert average.count == 5
    assert average.weights is not None
    for name, value in reference.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(average.weights[name], value, msg=name)
    assert int(average.weights["1.num_batches_tracked"]) == 5  # the last weights' number, not a mean


@pytest.mark.parametrize(
    ("steps", "every", "count", "expected"),
    [
        (1000, 100, 3, (800, 900, 1000)),
        (1050, 100, 3, (900, 1000, 1050)),
        (1000, 200, 5, (800, 1000)),  # at most half of five validations
        (600, 200, 5, ()),
        (100, 200, 5, ()),
        (1000, 100, 1, ()),
        (1000, 100, 0, ()),
    ],
)
def test_last_validations_are_at_most_half(steps: int, every: int, count: int, expected: tuple[int, ...]) -> None:
    assert last_validations(steps, every, count) == expected
