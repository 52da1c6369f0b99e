"""Strategies on the last linear layer: BADGE, the expected gradient norm, and BASE (distances to class boundaries).

The gradient of a clip in BADGE is the outer product of (p - one-hot of the most likely class) and the embedding. Its
inner products factor, so the outer product, `classes` times as large as the embedding, is never computed.
"""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy, select_top
from heart2heart.active_learning.pool import ClipPool, Floats, Table
from heart2heart.active_learning.strategies.coverage import squared_norms


def gradient_factors(pool: ClipPool) -> tuple[Table, Table]:
    """Return both factors of the gradients: `(n, classes)` and `(n, d)`."""
    probabilities = pool.table("probabilities")
    errors = probabilities.copy()
    errors[np.arange(len(pool)), probabilities.argmax(1)] -= 1
    return errors, pool.table("embeddings")


def select_badge(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select the longest gradient, then draw by the squared distance to the nearest selected gradient, over cost."""
    errors, embeddings = gradient_factors(pool)
    lengths = squared_norms(errors) * squared_norms(embeddings)
    nearest: Table | None = None
    while not selection.is_full():
        if nearest is None:
            index, kind = int(np.argmax(np.where(selection.open, lengths / pool.cost, -1))), "the longest"
            nearest = np.full(len(pool), np.inf, np.float32)
            score = float(lengths[index])
        else:
            index = draw_weighted(np.where(selection.open, nearest / pool.cost, 0), selection, rng)
            kind, score = "unlike those selected before it", float(nearest[index])
        selection.select(index, score, f"would change the network: gradient of {lengths[index] ** 0.5:.2f}, {kind}")
        inner = (errors @ errors[index]) * (embeddings @ embeddings[index])
        np.minimum(nearest, np.maximum(lengths + lengths[index] - 2 * inner, 0), out=nearest)


def draw_weighted(
    weights: np.ndarray[tuple[int], np.dtype[np.floating]], selection: BudgetedSelection, rng: np.random.Generator
) -> int:
    """Draw an index with probability proportional to its weight; if all weights are 0, any open index."""
    total = np.cumsum(weights, dtype=np.float64)
    if total[-1] <= 0:
        return int(rng.choice(np.flatnonzero(selection.open)))
    index = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    return min(index, int(np.flatnonzero(weights)[-1]))


BADGE = QueryStrategy(
    "long gradients of the last layer that differ from each other",
    "Ash et al., ICLR 2020, arXiv 1906.03671",
    frozenset({"probabilities", "embeddings"}),
    select_badge,
)


def expected_norms(pool: ClipPool) -> Floats:
    """Return the expectation over the predicted classes of the norm of the cross-entropy's gradient, `(n,)`.

    By the weights and bias of the last layer, for class y, it is |p - e_y| sqrt(|embedding|^2 + 1), and |p - e_y|^2 is
    |p|^2 - 2 p_y + 1.
    """
    p = pool.table("probabilities").astype(np.float64)
    errors = np.sqrt(np.maximum((p**2).sum(1, keepdims=True) - 2 * p + 1, 0))
    norms: Floats = (p * errors).sum(1) * np.sqrt(squared_norms(pool.table("embeddings")).astype(np.float64) + 1)
    return norms


def select_gradient_norm(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select by the expected norm."""
    scores = expected_norms(pool)
    select_top(pool, selection, scores, lambda index: f"its label would change the network: by {scores[index]:.2f}")


GRADIENT_NORM = QueryStrategy(
    "largest expected gradient of the last layer",
    "Settles, Craven and Ray, NIPS 2007, Multiple-Instance Active Learning (expected gradient length)",
    frozenset({"probabilities", "embeddings"}),
    select_gradient_norm,
)


def boundary_distances(pool: ClipPool) -> Floats:
    """Return the distance of each embedding to the boundary of each class, `(n, classes)`.

    In the space of the embedding, the boundary of two classes is a hyperplane of the last layer. For the predicted
    class, the distance is that to the nearest other class. For any other class, it is the distance to the region where
    that class would be predicted.
    """
    weights, bias = pool.table("weights").astype(np.float64), pool.table("bias")
    logits = (pool.table("embeddings") @ pool.table("weights") + bias).astype(np.float64)
    pair_norms = np.linalg.norm(weights[:, :, None] - weights[:, None, :], axis=0)
    pair_norms = np.where(pair_norms > 0, pair_norms, np.inf)  # two classes of the same weights have no boundary
    np.fill_diagonal(pair_norms, 1)
    predicted = logits.argmax(1)
    lead = logits[np.arange(len(pool)), predicted][:, None] - logits
    distances = lead / pair_norms[predicted]
    others = distances.copy()
    others[np.arange(len(pool)), predicted] = np.inf
    distances[np.arange(len(pool)), predicted] = others.min(1)
    return np.asarray(distances, np.float64)


def select_base(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select for one class after another the open clip with the smallest distance to its boundary times cost."""
    distances = boundary_distances(pool) * pool.cost[:, None]
    orders = np.argsort(distances, axis=0, kind="stable").T
    turn = 0
    while not selection.is_full():
        order = orders[turn % len(orders)]
        index = int(order[np.argmax(selection.open[order])])
        gap = float(distances[index, turn % len(orders)] / pool.cost[index])
        selection.select(index, 1 / (1 + gap), f"near the boundary of one view ({gap:.2f}); each view in its turn")
        turn += 1


BASE_SELECTION = QueryStrategy(
    "equally many clips near the boundary of each view (BASE)",
    "Emam et al. 2021, Active Learning at the ImageNet Scale, arXiv 2111.12880",
    frozenset({"embeddings", "weights", "bias"}),
    select_base,
)
