"""Strategies on the last linear layer: BADGE, the expected gradient norm, and BASE (distances to class boundaries).

The gradient of a clip in BADGE is the outer product of (p - one-hot of the most likely class) and the embedding. Its inner
products factor, so the outer product, `classes` times as large as the embedding, is never computed.
"""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, select_top
from heart2heart.active_learning.distances import squared_norms
from heart2heart.active_learning.pool import ClipPool, Floats, Table
from heart2heart.active_learning.strategies.base import QueryStrategy


def gradient_factors(pool: ClipPool) -> tuple[Table, Table]:
    """Return both factors of the gradients: `(n, classes)` and `(n, d)`."""
    probabilities = pool.table("probabilities")
    errors = probabilities.copy()
    errors[np.arange(len(pool)), probabilities.argmax(1)] -= 1
    return errors, pool.table("embeddings")


def select_badge(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick the longest gradient, then draw by the squared distance to the nearest gradient picked, for its cost."""
    errors, embeddings = gradient_factors(pool)
    lengths = squared_norms(errors) * squared_norms(embeddings)
    nearest: Table | None = None
    while not shortlist.is_full():
        if nearest is None:
            place, kind = int(np.argmax(np.where(shortlist.open, lengths / pool.cost, -1))), "the longest"
            nearest = np.full(len(pool), np.inf, np.float32)
            score = float(lengths[place])
        else:
            place = draw_weighted(np.where(shortlist.open, nearest / pool.cost, 0), shortlist, rng)
            kind, score = "unlike those picked before it", float(nearest[place])
        shortlist.select(place, score, f"would change the network: gradient of {lengths[place] ** 0.5:.2f}, {kind}")
        inner = (errors @ errors[place]) * (embeddings @ embeddings[place])
        np.minimum(nearest, np.maximum(lengths + lengths[place] - 2 * inner, 0), out=nearest)


def draw_weighted(
    worth: np.ndarray[tuple[int], np.dtype[np.floating]], shortlist: BudgetedSelection, rng: np.random.Generator
) -> int:
    """Draw a place by its worth; where nothing is worth anything, any open one."""
    total = np.cumsum(worth, dtype=np.float64)
    if total[-1] <= 0:
        return int(rng.choice(np.flatnonzero(shortlist.open)))
    place = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    return min(place, int(np.flatnonzero(worth)[-1]))


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
    found: Floats = (p * errors).sum(1) * np.sqrt(squared_norms(pool.table("embeddings")).astype(np.float64) + 1)
    return found


def select_gradient_norm(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick by the expected norm."""
    scores = expected_norms(pool)
    select_top(pool, shortlist, scores, lambda place: f"its label would change the network: by {scores[place]:.2f}")


GRADIENT_NORM = QueryStrategy(
    "largest expected gradient of the last layer",
    "Settles, Craven and Ray, NIPS 2007, Multiple-Instance Active Learning (expected gradient length)",
    frozenset({"probabilities", "embeddings"}),
    select_gradient_norm,
)


def boundary_distances(pool: ClipPool) -> Floats:
    """Return the distance of each embedding to the boundary of each class, `(n, classes)`.

    In the space of the embedding the boundary of two classes is a hyperplane of the last layer. For the class that is
    predicted it is the distance to the nearest other class; for any other, the distance to where it would be predicted
    instead.
    """
    weights, bias = pool.table("weights").astype(np.float64), pool.table("bias")
    logits = (pool.table("embeddings") @ pool.table("weights") + bias).astype(np.float64)
    between = np.linalg.norm(weights[:, :, None] - weights[:, None, :], axis=0)
    between = np.where(between > 0, between, np.inf)  # two classes of the same weights have no boundary
    np.fill_diagonal(between, 1)
    guess = logits.argmax(1)
    lead = logits[np.arange(len(pool)), guess][:, None] - logits
    found = lead / between[guess]
    others = found.copy()
    others[np.arange(len(pool)), guess] = np.inf
    found[np.arange(len(pool)), guess] = others.min(1)
    return np.asarray(found, np.float64)


def select_base(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick for one class after another the open clip nearest its boundary, times what it costs."""
    apart = boundary_distances(pool) * pool.cost[:, None]
    orders = np.argsort(apart, axis=0, kind="stable").T
    turn = 0
    while not shortlist.is_full():
        order = orders[turn % len(orders)]
        place = int(order[np.argmax(shortlist.open[order])])
        gap = float(apart[place, turn % len(orders)] / pool.cost[place])
        shortlist.select(place, 1 / (1 + gap), f"near the boundary of one view ({gap:.2f}); each view in its turn")
        turn += 1


BASE_SELECTION = QueryStrategy(
    "as many clips near the boundary of each view (BASE)",
    "Emam et al. 2021, Active Learning at the ImageNet Scale, arXiv 2111.12880",
    frozenset({"embeddings", "weights", "bias"}),
    select_base,
)
