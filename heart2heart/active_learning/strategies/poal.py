"""POAL: clips that are unsure and yet of the kind that is labeled; neither is weighed against the other.

The paper searches sets of clips for Pareto-optimal sums by Monte Carlo. Here single clips are ranked by Pareto fronts,
which needs no search and, unlike it, gives an order.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.pool import ClipPool, Floats, Ints
from heart2heart.active_learning.strategies.base import QueryStrategy
from heart2heart.active_learning.strategies.uncertainty import entropies

SHRINKAGE = 0.1
"""Share of the covariance that is made a multiple of the identity: a few labels do not tell a whole one."""


def pareto_fronts(first: Floats, second: Floats) -> Ints:
    """Return the Pareto front of each point, 0 for those that no other point is at least as good as in both.

    Of equal points the later in order lies behind. In time n log n: points are met by the first measure, so a front
    dominates a point exactly when the best second measure met on it is at least the point's.
    """
    order = np.lexsort((-second, -first))
    bests: list[float] = []  # of each front the best second measure met, negated, so that they ascend
    found = np.empty(len(first), np.int64)
    for place in order.tolist():
        value = -float(second[place])
        front = bisect_right(bests, value)
        bests[front : front + 1] = [value]
        found[place] = front
    return found


def familiarity(pool: ClipPool) -> Floats:
    """Return minus the squared Mahalanobis distance to the nearest class of labeled clips, `(n,)`.

    Classes share one covariance (Lee et al., NeurIPS 2018).
    """
    embeddings, places = pool.table("embeddings"), pool.labeled
    targets = pool.target[places]
    known = np.unique(targets)
    points = embeddings[places].astype(np.float64)
    means = np.stack([points[targets == number].mean(0) for number in known])
    within = points - means[np.searchsorted(known, targets)]
    covariance = within.T @ within / len(points)
    size = max(float(np.trace(covariance)) / len(covariance), 1e-6)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * size * np.eye(len(covariance))
    # With the Cholesky factor of the precision, Mahalanobis distances are Euclidean ones.
    white = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    moved, centres = embeddings @ white, means.astype(np.float32) @ white
    apart = ((moved**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * moved @ centres.T).min(1)
    return np.asarray(-np.maximum(apart, 0), np.float64)


def select_poal(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick front by front, within one by the sum of both ranks; between fronts, cost does not matter."""
    unsure, known = entropies(pool.table("probabilities")), familiarity(pool)
    open_before = np.flatnonzero(shortlist.open)
    front = np.full(len(pool), len(pool))
    front[open_before] = pareto_fronts(unsure[open_before], known[open_before])
    ranks = np.argsort(np.argsort(unsure, kind="stable")) + np.argsort(np.argsort(known, kind="stable"))
    order = np.lexsort((-ranks / pool.cost, front))
    while not shortlist.is_full():
        for place in order[shortlist.open[order]].tolist():
            if shortlist.is_full():
                break
            if shortlist.open[place]:
                why = f"unsure (entropy {unsure[place]:.2f} nats) and of a known kind; Pareto front {front[place] + 1}"
                shortlist.select(place, float(unsure[place]), why)


POAL = QueryStrategy(
    "unsure clips that are of the kind labeled so far (Pareto fronts, POAL)",
    "Zhan et al. 2022, Pareto Optimization for Active Learning, arXiv 2207.01190",
    frozenset({"probabilities", "embeddings"}),
    select_poal,
    needs_labels=True,
)
