"""BASE, balanced selection: as many clips near the boundary of each class, so that no class is forgotten."""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.pool import ClipPool, Floats
from heart2heart.active_learning.strategies.base import QueryStrategy


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
