"""Each method does what its authors claim, on heaps of points with a softmax regression in the place of the network.

VAAL's claim rests on its adversary: tests/training/test_model_outputs.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.distance import cdist

from heart2heart.active_learning.pool import ClipPool, Ints, Table
from heart2heart.active_learning.strategies.last_layer import gradient_factors
from heart2heart.testing.data_checks import CLASSES, random_pool, softmax
from tests.active_learning.support import picked, places

N, LABELED = 600, 24


@dataclass(frozen=True)
class Moment:
    """Weights of a regression at some step."""

    weights: Table
    bias: Table

    def of(self, points: Table) -> Table:
        return softmax(points @ self.weights + self.bias)


def _train(points: Table, targets: Ints, steps: tuple[int, ...]) -> tuple[list[Moment], Moment]:
    """Return the weights at some steps of gradient descent, and their running average at the last one."""
    one_hot = np.eye(len(CLASSES), dtype=np.float32)[targets]
    weights: Table = np.zeros((points.shape[1], len(CLASSES)), np.float32)
    bias: Table = np.zeros(len(CLASSES), np.float32)
    average, moments = (weights, bias), []
    for step in range(1, steps[-1] + 1):
        error = softmax(points @ weights + bias) - one_hot
        weights = np.asarray(weights - 0.3 * points.T @ error / len(points), np.float32)
        bias = np.asarray(bias - 0.3 * error.mean(0), np.float32)
        average = (0.97 * average[0] + 0.03 * weights, 0.97 * average[1] + 0.03 * bias)
        if step in steps:
            moments.append(Moment(weights, bias))
    return moments, Moment(*average)


def _learned(points: Table, truth: Ints) -> ClipPool:
    """Return a pool whose first clips are labeled, with the tables of a regression that was trained on them."""
    (early, last), average = _train(points[:LABELED], truth[:LABELED], (10, 150))
    tables = {"probabilities": last.of(points), "embeddings": points, "weights": last.weights, "bias": last.bias,
              "earlier": early.of(points), "student": last.of(points), "teacher": average.of(points)}  # fmt: skip
    count = len(points)
    target = np.where(np.arange(count) < LABELED, truth, -1)
    return random_pool(count, labeled=LABELED, patient=np.arange(count), target=target, tables=tables)


def _heaps(seed: int) -> tuple[Table, Ints]:
    """Return points around a corner for each class, `(N, 6)`; the last two directions tell nothing."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(N) % len(CLASSES)).astype(np.int64)
    spread = np.array([0.7, 0.7, 0.7, 0.7, 0.05, 0.05])
    return (2 * np.eye(6)[truth] + spread * rng.normal(0, 1, (N, 6))).astype(np.float32), truth


def _wrong(pool: ClipPool, truth: Ints) -> npt.NDArray[np.bool_]:
    wrong: npt.NDArray[np.bool_] = pool.table("probabilities").argmax(1) != truth
    return wrong


@pytest.mark.parametrize("by", ["entropy", "margin", "least_confidence", "bald", "tod", "st_conal", "badge", "poal"])
def test_select_clips_by_uncertainty_finds_the_errors_of_the_network(by: str) -> None:
    """Uncertainty, disagreement, a changing output and a long gradient all stand for a large loss."""
    shares = []
    for seed in range(3):
        points, truth = _heaps(seed)
        # An embedding says everything several times, which is what dropout takes away from.
        pool = _learned(points @ np.random.default_rng(seed).normal(0, 0.4, (6, 48)).astype(np.float32), truth)
        wrong = _wrong(pool, truth)
        shares.append(wrong[places(picked(by, pool, 40))].mean() / wrong[LABELED:].mean())
    assert np.mean(shares) > 1.3  # of random picks it is 1


def test_select_clips_by_gradient_norm_takes_the_largest_change_of_the_last_layer() -> None:
    points, truth = _heaps(0)
    pool = _learned(points, truth)
    one_hot = np.eye(len(CLASSES))[truth]
    lengths = [np.linalg.norm(np.outer(np.append(x, 1), p - y))
               for x, p, y in zip(points, pool.table("probabilities"), one_hot, strict=True)]  # fmt: skip
    chosen = places(picked("gradient_norm", pool, 40))
    assert np.mean([lengths[i] for i in chosen]) > 1.5 * np.mean(lengths[LABELED:])


def test_select_clips_by_core_set_covers_the_pool() -> None:
    points, truth = _heaps(1)
    pool = _learned(points, truth)

    def radius(chosen: list[int]) -> float:
        return float(cdist(points, points[[*range(LABELED), *chosen]]).min(1).max())

    covered = radius(places(picked("core_set", pool, 30)))
    assert covered < min(radius(places(picked("random", pool, 30, seed=seed))) for seed in range(20))


def test_select_clips_by_typiclust_takes_one_of_each_cluster_and_no_outlier() -> None:
    rng = np.random.default_rng(2)
    heap = np.repeat(np.arange(8), 30)
    points = np.concatenate([8 * np.eye(8)[heap] + rng.normal(0, 0.6, (240, 8)), rng.uniform(-20, 20, (6, 8))])
    pool = random_pool(246, labeled=0, patient=np.arange(246), tables={"embeddings": points.astype(np.float32)})
    chosen = places(picked("typiclust", pool, 8))
    assert len({heap[i] for i in chosen if i < 240}) >= 7
    apart = np.linalg.norm(points[:240] - 8 * np.eye(8)[heap], axis=1)
    assert np.mean([apart[i] for i in chosen if i < 240]) < np.median(apart)
    drawn = [len({heap[i] for i in places(picked("random", pool, 8, seed=seed)) if i < 240}) for seed in range(20)]
    assert max(drawn) < 8


def test_select_clips_by_similar_finds_the_rare_view() -> None:
    rng = np.random.default_rng(3)
    truth = np.where(rng.random(N) < 0.04, 3, rng.integers(0, 3, N)).astype(np.int64)
    truth[:LABELED] = [3, 3, *np.arange(LABELED - 2) % 3]
    points = (2.0 * np.eye(6)[truth] + rng.normal(0, 0.5, (N, 6))).astype(np.float32)
    pool = _learned(points, truth)
    left = int((truth[LABELED:] == 3).sum())
    rare_share = (truth[places(picked("similar", pool, left))] == 3).mean()
    assert rare_share > 0.6 > 10 * (truth[LABELED:] == 3).mean()


def test_select_clips_by_poal_leaves_clips_of_no_view_out() -> None:
    rng = np.random.default_rng(4)
    points, truth = _heaps(4)
    alien = np.arange(N) >= N - 200
    # Where all classes are as likely, far off in directions that no label has: any network is unsure of it.
    points[alien] = np.array([0.5, 0.5, 0.5, 0.5, 2, 2]) + rng.normal(0, 0.3, (200, 6))
    pool = _learned(points.astype(np.float32), truth)
    by_entropy, by_poal = (alien[places(picked(by, pool, 40))].mean() for by in ("entropy", "poal"))
    assert by_entropy > 0.5
    assert by_poal < 0.5 * by_entropy


def test_select_clips_by_badge_is_diverse_and_by_base_is_balanced() -> None:
    points, truth = _heaps(5)
    rng = np.random.default_rng(5)
    # Two of the heaps overlap: that is where a network is least sure.
    mixed = truth <= 1
    points[mixed] = (np.array([1.0, 1.0, 0, 0, 0, 0]) + rng.normal(0, 0.5, (int(mixed.sum()), 6))).astype(np.float32)
    pool = _learned(points, truth)
    errors, embeddings = gradient_factors(pool)
    gradients = np.einsum("nc,nd->ncd", errors, embeddings).reshape(N, -1)
    longest = LABELED + np.argsort(-np.linalg.norm(gradients[LABELED:], axis=1))[:20]

    def uncovered(chosen: npt.ArrayLike) -> float:
        return float(cdist(gradients[LABELED:], gradients[np.asarray(chosen)], "sqeuclidean").min(1).sum())

    drawn = [uncovered(places(picked("badge", pool, 20, seed=seed))) for seed in range(5)]
    assert max(drawn) < 0.5 * uncovered(longest)
    guess = pool.table("probabilities").argmax(1)
    fewest = {by: np.bincount(guess[places(picked(by, pool, 40))], minlength=4).min() for by in ("margin", "base")}
    assert fewest["base"] > fewest["margin"]
    assert fewest["base"] >= 4
