"""Classification from a few labels: TIM against the paper's formulas, class means, and the trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import LabelError
from heart2heart.representation.few_shot import (
    FewShotSettings,
    class_logits,
    class_means,
    classify,
    maximise_information,
    tim_loss,
)
from heart2heart.representation.few_shot_trial import Ints, draw_labels, run_trials

SETTINGS = FewShotSettings(temperature=3.0, label_weight=0.3, conditional_weight=0.2, marginal_weight=0.7)


def probabilities(row: np.ndarray, prototypes: np.ndarray, temperature: float) -> np.ndarray:
    odds = [math.exp(-temperature / 2 * float(((row - w) ** 2).sum())) for w in prototypes]
    return np.array(odds) / sum(odds)


@given(seed=st.integers(0, 2**32 - 1), u=st.integers(1, 6))
def test_tim_loss_is_equation_3(seed: int, u: int) -> None:
    rng = np.random.default_rng(seed)
    prototypes, labeled, rows = (rng.normal(size=(n, 3)) for n in (4, 5, u))
    targets = rng.integers(0, 4, 5)
    each = np.array([probabilities(row, prototypes, 3.0) for row in rows])
    known = [probabilities(row, prototypes, 3.0)[target] for row, target in zip(labeled, targets, strict=True)]
    cross_entropy = -np.mean(np.log(known))
    marginal = -sum(share * math.log(share) for share in each.mean(0))
    conditional = -np.mean([(p * np.log(p)).sum() for p in each])
    tensors = [torch.from_numpy(part) for part in (prototypes, labeled, targets, rows)]
    value = tim_loss(tensors[0], tensors[1], tensors[2], tensors[3], SETTINGS)
    assert float(value) == pytest.approx(0.3 * cross_entropy - (0.7 * marginal - 0.2 * conditional), rel=1e-6)


def test_maximise_information_lowers_the_loss_and_keeps_its_start() -> None:
    rng = np.random.default_rng(0)
    prototypes, labeled, rows = (torch.from_numpy(rng.normal(size=(n, 3))) for n in (2, 2, 20))
    start, targets = prototypes.clone(), torch.tensor([0, 1])
    settings = FewShotSettings(steps=50, lr=0.01)
    moved = maximise_information(prototypes, labeled, targets, rows, settings)
    losses = [float(tim_loss(each, labeled, targets, rows, settings)) for each in (start, moved)]
    assert losses[1] < losses[0] - 0.01
    assert torch.equal(prototypes, start)


def test_class_logits_are_squared_distances() -> None:
    rows, prototypes = torch.randn(4, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(class_logits(rows, prototypes, 5.0), -2.5 * torch.cdist(rows, prototypes) ** 2)


def test_classify_by_tim_uses_the_unlabeled_rows() -> None:
    # Two clouds; the one label of class 1 lies between them, so that the nearest mean errs on half of its cloud.
    rng = np.random.default_rng(3)
    clouds = np.concatenate([rng.normal((-1, 0), 0.2, (60, 2)), rng.normal((1, 0), 0.2, (60, 2))]).astype(np.float32)
    truth = np.repeat([0, 1], 60)
    labeled = np.array([[-2.2, 0.0], [0.2, 0.0]], np.float32)
    plain = classify(labeled, np.array([0, 1]), clouds, 2, FewShotSettings(method="class_means", temperature=3))
    tim = classify(labeled, np.array([0, 1]), clouds, 2, FewShotSettings(temperature=3, lr=0.01, steps=300))
    scores = [float(np.mean(chances.argmax(1) == truth)) for chances in (plain, tim)]
    assert scores[0] < 0.85
    assert scores[1] > 0.97
    np.testing.assert_allclose(tim.sum(1), 1, atol=1e-5)


def test_class_means_refuses_a_class_without_a_label() -> None:
    with pytest.raises(LabelError, match="no label of class 1"):
        class_means(np.ones((2, 3), np.float32), np.array([0, 2]), 3)


def test_draw_labels_takes_all_classes_of_the_same_patients() -> None:
    targets = np.tile([0, 1, 2], 10)
    patients = np.array([f"p{row // 6}" for row in range(30)], object)
    drawn = {tuple(draw_labels(targets, patients, 2, np.random.default_rng(seed))) for seed in range(20)}
    assert len(drawn) > 10
    for chosen in drawn:
        assert np.bincount(targets[list(chosen)]).tolist() == [2, 2, 2]
        assert len(set(patients[list(chosen)])) == 2


def test_draw_labels_takes_other_patients_first() -> None:
    targets = np.repeat([0, 1], 6)
    patients = np.array([f"p{row // 2}" for row in range(12)], object)
    for seed in range(20):
        chosen = draw_labels(targets, patients, 3, np.random.default_rng(seed))
        assert np.bincount(targets[chosen]).tolist() == [3, 3]
        assert len(set(patients[chosen])) == 6
    assert len(draw_labels(targets, patients, 5, np.random.default_rng(0))) == 10
    with pytest.raises(LabelError, match="fewer than 7 shots"):
        draw_labels(targets, patients, 7, np.random.default_rng(0))


def test_run_trials_scores_other_patients_with_the_same_labels() -> None:
    targets = np.tile([0, 1], 10)
    patients = np.array([f"p{row // 2}" for row in range(20)], object)
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def right(labeled: Ints, taught: Ints, scored: Ints) -> Ints:
        seen.append((tuple(labeled), tuple(scored)))
        assert not set(patients[labeled]) & set(patients[scored])
        assert (taught == targets[labeled]).all()
        return np.asarray(targets[scored], np.int64)

    def first(labeled: Ints, _: Ints, scored: Ints) -> Ints:
        seen.append((tuple(labeled), tuple(scored)))
        return np.zeros(len(scored), np.int64)

    scores = run_trials(targets, patients, {"right": right, "first": first}, shots=[1, 2], draws=3, seed=1)
    assert [score.balanced_accuracy for score in scores] == [1.0, 0.5] * 6
    assert seen[::2] == seen[1::2]
    assert len(set(seen)) == 6
    with pytest.raises(LabelError, match="no clip of another patient"):
        run_trials(targets[:2], patients[:2], {"first": first}, shots=[1], draws=1)
