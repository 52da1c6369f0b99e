"""SoftMatch against its formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing.algorithm_checks import check_threads, check_unlabeled_loss
from heart2heart.testing.runs import (
    K,
    U,
    check_resumes,
    finish_step,
    make_step,
    tiny_network,
    train_score,
    unlabeled_loss,
)
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.soft_match import SoftMatch
from heart2heart.training.algorithms.weak_to_strong import LabelSource
from tests.training.algorithms.test_adaptive_threshold import probabilities

DECAY, DEVIATIONS = 0.4, 1.5


@pytest.mark.parametrize(("alignment", "source"), [(True, "network"), (False, "network"), (True, "average")])
def test_soft_match_loss_equals_the_formula(alignment: bool, source: LabelSource) -> None:
    average = tiny_network(seed=1).eval()

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        p = probabilities(average if source == "average" else network, step.unlabeled[0])
        expected = DECAY / K + (1 - DECAY) * p.mean(0)
        aligned = p / expected if alignment else p
        confidence = (aligned / aligned.sum(1, keepdims=True)).max(1)
        mean = DECAY / K + (1 - DECAY) * confidence.mean()
        variance = DECAY * 1.0 + (1 - DECAY) * confidence.var(ddof=1)
        gauss = np.exp(-((confidence - mean) ** 2) / (2 * variance / DEVIATIONS**2))
        weight = np.where(confidence < mean, gauss, 1.0)
        assert 0 < (weight < 1).sum() < U
        strong, total = network(step.unlabeled[1]), torch.zeros((), dtype=torch.float64)
        for row in range(U):
            total = total - float(weight[row]) * strong[row].log_softmax(0)[int(p[row].argmax())]
        return total / U

    method = SoftMatch(decay=DECAY, deviations=DEVIATIONS, uniform_alignment=alignment, labels_from=source)
    check_unlabeled_loss(method, reference, average=average)
    check_threads(method)


def test_soft_match_remembers_the_moments_of_its_batches() -> None:
    network = tiny_network()
    step = make_step(network, views=2, method=SoftMatch())
    p = probabilities(network, step.unlabeled[0])
    unlabeled_loss(SoftMatch(decay=DECAY, uniform_alignment=False), step)
    finish_step(step)
    assert float(step.memory["mean"]) == pytest.approx(DECAY / K + (1 - DECAY) * p.max(1).mean())
    assert float(step.memory["variance"]) == pytest.approx(DECAY + (1 - DECAY) * p.max(1).var(ddof=1))


def test_soft_match_learns_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "softmatch", "params": {"decay": 0.9}}
    assert train_score(tiny, tmp_path / "run", method) > 0.6
    check_resumes(tiny, tmp_path, method=method)
