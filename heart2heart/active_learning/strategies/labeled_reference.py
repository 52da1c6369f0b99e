"""Strategies that compare clips with the labeled ones: SIMILAR, POAL and VAAL.

SIMILAR selects clips like those labeled with rare views, by submodular mutual information (FLQMI). For a set A of
clips and queries Q, with similarities s between 0 and 1, it maximises

    f(A) = sum over q of max over a of s(q, a)  +  ETA x sum over a of max over q of s(q, a):

every query needs a similar clip, and every clip a similar query. The function is submodular, so the greedy choice is
near the optimum, and a gain that was computed earlier bounds the present gain from above: few are recomputed (Minoux
1978).

POAL ranks clips that are uncertain and similar to the labeled ones. The paper searches sets of clips for Pareto-
optimal sums by Monte Carlo. Here single clips are ranked by Pareto fronts, which needs no search and gives an order.

VAAL selects clips that an adversary distinguishes from the labeled ones. The paper's variational autoencoder reads
pixels; here it reads the run's embeddings, which takes seconds instead of hours. `heart2heart.training.vaal` trains
it, because this package does not import torch.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy, select_top
from heart2heart.active_learning.pool import Bools, ClipPool, Floats, Ints, Table
from heart2heart.active_learning.strategies.coverage import subsample
from heart2heart.active_learning.strategies.uncertainty import entropies
from heart2heart.errors import ConfigError

ETA = 1.0
"""Weight of the second sum in f."""
MAX_QUERIES = 200
"""Maximum number of labeled clips of rare views; of more, a random sample is used."""

_FIRST_BATCH, _MAX_BATCH = 1024, 65_536  # clips whose gain is computed at a time


def rare_classes(pool: ClipPool) -> Ints:
    """Return the rare classes: those that the pool names, or else those with fewer labels than an equal share."""
    if pool.rare:
        return np.array(pool.rare, np.int64)
    counts = np.bincount(pool.target[pool.labeled], minlength=len(pool.classes))
    present = counts > 0
    fewer = present & (counts < counts.sum() / len(counts))
    return np.flatnonzero(fewer) if fewer.any() else np.flatnonzero(present)


def similarities(points: Table, queries: Table) -> Table:
    """Return (1 + cosine) / 2 of each point `(n, d)` and query `(m, d)`, `(n, m)`."""
    ones, others = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12) for each in (points, queries))
    similarity: Table = np.clip((1 + ones @ others.T) / 2, 0, 1, dtype=np.float32)
    return similarity


def select_similar(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select greedily by the gain of f over cost.

    Raises:
        ConfigError: no clip is labeled with any of the rare views.
    """
    rare = rare_classes(pool)
    queries = pool.labeled[np.isin(pool.target[pool.labeled], rare)]
    if not len(queries):
        names = ", ".join(pool.classes[index] for index in rare)
        raise ConfigError(f"no clip is labeled {names} yet", remedy="Label some first, e.g. by --by typiclust")
    queries = subsample(queries, MAX_QUERIES, rng)
    embeddings = pool.table("embeddings")
    like = similarities(embeddings, embeddings[queries])
    own = like.max(1)
    best = np.zeros(len(queries), np.float32)
    bounds = (like.sum(1, dtype=np.float64) + ETA * own) / pool.cost
    while not selection.is_full():
        index = _largest_gain(selection.open, bounds, like, best, own, pool)
        gain = float(bounds[index] * pool.cost[index])
        selection.select(index, gain, f"similar to a clip labeled with a rare view: similarity {own[index]:.2f} of 1")
        np.maximum(best, like[index], out=best)


def _largest_gain(open_mask: Bools, bounds: Floats, like: Table, best: Table, own: Table, pool: ClipPool) -> int:
    """Return the open clip of the largest gain for its cost; `bounds` are updated where a gain is computed.

    Gains are computed from the highest bound down, in growing batches, until no bound is above the largest gain.
    """
    stale, index, size = open_mask.copy(), -1, _FIRST_BATCH
    while True:
        above = np.flatnonzero(stale if index < 0 else stale & (bounds > bounds[index]))
        if not len(above):
            return index
        if len(above) > size:
            above = above[np.argpartition(-bounds[above], size)[:size]]
        gains = np.maximum(like[above] - best, 0).sum(1, dtype=np.float64) + ETA * own[above]
        bounds[above] = gains / pool.cost[above]
        stale[above] = False
        first = int(above[np.argmax(bounds[above])])
        if index < 0 or bounds[first] > bounds[index]:
            index = first
        size = min(2 * size, _MAX_BATCH)


SIMILAR = QueryStrategy(
    "clips similar to those labeled with rare views (submodular mutual information)",
    "Kothawade et al., SIMILAR, NeurIPS 2021, arXiv 2107.00717",
    frozenset({"embeddings"}),
    select_similar,
    needs_labels=True,
)


SHRINKAGE = 0.1
"""Shrinkage of the covariance towards a multiple of the identity, because few labels do not determine it."""


def pareto_fronts(first: Floats, second: Floats) -> Ints:
    """Return the Pareto front of each point, 0 for those that no other point is at least as good as in both.

    Of equal points the later one is on the next front. The time is n log n: points are sorted by the first measure, so
    a front dominates a point exactly when its best second measure so far is at least the point's.
    """
    order = np.lexsort((-second, -first))
    bests: list[float] = []  # best second measure of each front, negated, so that the list ascends
    fronts = np.empty(len(first), np.int64)
    for index in order.tolist():
        value = -float(second[index])
        front = bisect_right(bests, value)
        bests[front : front + 1] = [value]
        fronts[index] = front
    return fronts


def familiarity(pool: ClipPool) -> Floats:
    """Return minus the squared Mahalanobis distance to the nearest class of labeled clips, `(n,)`.

    Classes share one covariance (Lee et al., NeurIPS 2018).
    """
    embeddings, labeled = pool.table("embeddings"), pool.labeled
    targets = pool.target[labeled]
    labeled_classes = np.unique(targets)
    points = embeddings[labeled].astype(np.float64)
    means = np.stack([points[targets == label].mean(0) for label in labeled_classes])
    within = points - means[np.searchsorted(labeled_classes, targets)]
    covariance = within.T @ within / len(points)
    size = max(float(np.trace(covariance)) / len(covariance), 1e-6)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * size * np.eye(len(covariance))
    # With the Cholesky factor of the precision, Mahalanobis distances are Euclidean ones.
    white = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    whitened, centres = embeddings @ white, means.astype(np.float32) @ white
    distances = ((whitened**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * whitened @ centres.T).min(1)
    return np.asarray(-np.maximum(distances, 0), np.float64)


def select_poal(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select front by front, within a front by the sum of both ranks over cost."""
    unsure, familiar = entropies(pool.table("probabilities")), familiarity(pool)
    open_before = np.flatnonzero(selection.open)
    front = np.full(len(pool), len(pool))
    front[open_before] = pareto_fronts(unsure[open_before], familiar[open_before])
    ranks = np.argsort(np.argsort(unsure, kind="stable")) + np.argsort(np.argsort(familiar, kind="stable"))
    order = np.lexsort((-ranks / pool.cost, front))
    while not selection.is_full():
        for index in order[selection.open[order]].tolist():
            if selection.is_full():
                break
            if selection.open[index]:
                reason = (
                    f"unsure (entropy {unsure[index]:.2f} nats) and of a known kind; Pareto front {front[index] + 1}"
                )
                selection.select(index, float(unsure[index]), reason)


POAL = QueryStrategy(
    "uncertain clips similar to the labeled ones (Pareto fronts, POAL)",
    "Zhan et al. 2022, Pareto Optimization for Active Learning, arXiv 2207.01190",
    frozenset({"probabilities", "embeddings"}),
    select_poal,
    needs_labels=True,
)


def select_vaal(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select by the adversary's probability that a clip is not labeled."""
    scores = pool.table("vaal").astype(np.float64)
    select_top(pool, selection, scores, lambda index: f"unlike the labeled clips: {scores[index]:.2f} of 1")


VAAL = QueryStrategy(
    "clips that an adversary distinguishes from the labeled ones (VAAL, on embeddings)",
    "Sinha, Ebrahimi and Darrell, ICCV 2019, arXiv 1904.00370",
    frozenset({"vaal"}),
    select_vaal,
    needs_labels=True,
)
