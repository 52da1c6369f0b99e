"""FixMatch with adaptive thresholds and with labels by the averaged network, and FreeMatch, against their formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from heart2heart.testing.algorithm_checks import check_threads, check_unlabeled_loss
from heart2heart.testing.runs import (
    POOL,
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
from heart2heart.training.algorithms.adaptive_threshold import flexmatch_thresholds
from heart2heart.training.algorithms.base import StepContext
from heart2heart.training.algorithms.free_match import FreeMatch
from heart2heart.training.algorithms.weak_to_strong import UDA, FixMatch

DECAY, FAIRNESS = 0.1, 0.3


def probabilities(network: nn.Module, frames: Tensor) -> np.ndarray[Any, Any]:
    logits = network(frames).detach().numpy()
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(odds / odds.sum(1, keepdims=True))


def cross_entropy(network: nn.Module, step: StepContext, labels: list[int], kept: list[bool]) -> Tensor:
    strong = network(step.unlabeled[1])
    total = torch.zeros((), dtype=torch.float64)
    for row, (label, keep) in enumerate(zip(labels, kept, strict=True)):
        if keep:
            total = total - strong[row].log_softmax(0)[label]
    return total / len(labels)


def self_adaptive(p: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the means after the first batch: equations 5 and 6 of FreeMatch, begun at 1 / classes."""
    shares = np.bincount(p.argmax(1), minlength=K) / len(p)
    confidence = DECAY / K + (1 - DECAY) * p.max(1).mean()
    return confidence, DECAY / K + (1 - DECAY) * p.mean(0), DECAY / K + (1 - DECAY) * shares


def fixmatch_self_adaptive(network: nn.Module, step: StepContext) -> Tensor:
    p = probabilities(network, step.unlabeled[0])
    confidence, mean, _ = self_adaptive(p)
    limits = [confidence * mean[row.argmax()] / mean.max() for row in p]
    kept = [bool(row.max() >= limit) for row, limit in zip(p, limits, strict=True)]
    assert 0 < sum(kept) < U
    return cross_entropy(network, step, p.argmax(1).tolist(), kept)


def freematch(network: nn.Module, step: StepContext) -> Tensor:
    p = probabilities(network, step.unlabeled[0])
    confidence, mean, histogram = self_adaptive(p)
    kept = [row for row in range(U) if p[row].max() >= confidence * mean[p[row].argmax()] / mean.max()]
    strong = network(step.unlabeled[1]).softmax(1)
    counts = np.bincount([int(strong[row].argmax()) for row in kept], minlength=K)
    seen = [name for name in range(K) if counts[name]]
    target = mean / histogram
    batch = [strong[kept, name].mean() / (counts[name] / len(kept)) for name in seen]
    fairness = torch.zeros((), dtype=torch.float64)
    for name, value in zip(seen, batch, strict=True):
        fairness = fairness + target[name] / target.sum() * (value / sum(batch) + 1e-12).log()
    for name in set(range(K)) - set(seen):
        fairness = fairness + target[name] / target.sum() * np.log(1e-12)
    return fixmatch_self_adaptive(network, step) + FAIRNESS * fairness


def test_fixmatch_with_the_self_adaptive_threshold_equals_the_formula() -> None:
    method = FixMatch(threshold_rule="freematch", threshold_decay=DECAY)
    check_unlabeled_loss(method, fixmatch_self_adaptive)
    check_threads(method)


def test_freematch_loss_equals_the_formula() -> None:
    method = FreeMatch(threshold_decay=DECAY, fairness=FAIRNESS)
    check_unlabeled_loss(method, freematch)
    check_threads(method)


def test_freematch_remembers_the_means_of_its_batches() -> None:
    network = tiny_network()
    step = make_step(network, views=2, method=FreeMatch())
    p = probabilities(network, step.unlabeled[0])
    method = FreeMatch(threshold_decay=DECAY)
    unlabeled_loss(method, step)
    assert float(step.memory["freematch.confidence"]) == pytest.approx(1 / K)  # until the end of the step
    finish_step(step)
    confidence, mean, histogram = self_adaptive(p)
    assert float(step.memory["freematch.confidence"]) == pytest.approx(confidence)
    np.testing.assert_allclose(step.memory["freematch.probabilities"].numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(step.memory["freematch.histogram"].numpy(), histogram, rtol=1e-6)


def test_freematch_of_a_batch_without_confident_frames_has_no_fairness_term() -> None:
    network = tiny_network()
    step = make_step(network, views=2, method=FreeMatch())
    step.memory["freematch.confidence"].fill_(2.0)
    loss = unlabeled_loss(FreeMatch(threshold_decay=0.999, fairness=1.0), step)
    assert float(loss.value.detach()) == 0


def test_fixmatch_with_curriculum_thresholds_equals_the_formula() -> None:
    """Classes with few confident frames have lower thresholds (FlexMatch, equations 5 to 11)."""
    limit = 0.55

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        p = probabilities(network, step.unlabeled[0])
        last = dict.fromkeys(range(POOL), -1)
        for row, position in enumerate(step.pool_index.tolist()):
            if p[row].max() >= limit:
                last[position] = int(p[row].argmax())
        counts = [list(last.values()).count(name) for name in range(K)]
        ratio = [count / max(*counts, POOL - sum(counts)) for count in counts]
        kept = [bool(row.max() >= limit * ratio[row.argmax()] / (2 - ratio[row.argmax()])) for row in p]
        assert sum(kept) > sum(row.max() >= limit for row in p) > 0
        return cross_entropy(network, step, p.argmax(1).tolist(), kept)

    method = FixMatch(threshold=limit, threshold_rule="flexmatch")
    check_unlabeled_loss(method, reference)
    check_threads(method)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6), st.integers(0, 200))
def test_flexmatch_thresholds_are_ordered_as_the_counts(counts: list[int], unseen: int) -> None:
    pool = max(sum(counts) + unseen, 1)
    limits = flexmatch_thresholds(torch.tensor(counts), pool, 0.95).tolist()
    expected = [0.95 * (c / max(*counts, pool - sum(counts), 1)) / (2 - c / max(*counts, pool - sum(counts), 1))
                for c in counts]  # fmt: skip
    assert limits == pytest.approx(expected, abs=1e-6)
    assert all(0 <= limit <= 0.95 + 1e-6 for limit in limits)


def test_predict_of_the_averaged_network_gives_the_labels() -> None:
    average = tiny_network(seed=5).eval()

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        p = probabilities(average, step.unlabeled[0])
        assert p.argmax(1).tolist() != probabilities(network, step.unlabeled[0]).argmax(1).tolist()
        return cross_entropy(network, step, p.argmax(1).tolist(), (p.max(1) >= 0.5).tolist())

    check_unlabeled_loss(FixMatch(threshold=0.5, labels_from="average"), reference, average=average)


def test_uda_takes_the_averaged_network_and_an_adaptive_threshold() -> None:
    average = tiny_network(seed=5).eval()

    def reference(network: nn.Module, step: StepContext) -> Tensor:
        p = probabilities(average, step.unlabeled[0])
        confidence, mean, _ = self_adaptive(p)
        strong, total = network(step.unlabeled[1]), torch.zeros((), dtype=torch.float64)
        for row in range(U):
            if p[row].max() >= confidence * mean[p[row].argmax()] / mean.max():
                sharp = p[row] ** 2 / (p[row] ** 2).sum()
                total = total - (torch.from_numpy(sharp) * strong[row].log_softmax(0)).sum() / U
        return total

    method = UDA(labels_from="average", threshold_rule="freematch", threshold_decay=DECAY, temperature=0.5)
    check_unlabeled_loss(method, reference, average=average)


def test_freematch_learns_under_mixing_and_resumes(tiny: TinyStore, tmp_path: Path) -> None:
    method = {"name": "freematch", "params": {"threshold_decay": 0.9, "labels_from": "average"}}
    mixing = {"fix_a_step": {"mixing": True, "gradient": "fix_a_step"}}
    assert train_score(tiny, tmp_path / "run", method, **mixing) > 0.5
    curriculum = {"name": "freematch", "params": {"threshold_rule": "flexmatch", "threshold": 0.5}}
    check_resumes(tiny, tmp_path, method=curriculum, **mixing)
