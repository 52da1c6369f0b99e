"""BADGE: gradients of the last layer, long and unlike each other, by the seeding of k-means++.

The gradient of a clip is the outer product of (p - one-hot of the likeliest class) and the embedding. Its inner
products factor, so the product itself, `classes` times as large as the embedding, is never made.
"""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.distances import squares
from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Pool, Table
from heart2heart.curate.queue.shortlist import Shortlist


def factors(pool: Pool) -> tuple[Table, Table]:
    """Return both factors of the gradients: `(n, classes)` and `(n, d)`."""
    probabilities = pool.table("probabilities")
    errors = probabilities.copy()
    errors[np.arange(len(pool)), probabilities.argmax(1)] -= 1
    return errors, pool.table("embeddings")


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick the longest gradient, then draw by the squared distance to the nearest gradient picked, for its cost."""
    errors, embeddings = factors(pool)
    lengths = squares(errors) * squares(embeddings)
    nearest: Table | None = None
    while not shortlist.is_full():
        if nearest is None:
            place, kind = int(np.argmax(np.where(shortlist.open, lengths / pool.cost, -1))), "the longest"
            nearest = np.full(len(pool), np.inf, np.float32)
            score = float(lengths[place])
        else:
            place = draw(np.where(shortlist.open, nearest / pool.cost, 0), shortlist, rng)
            kind, score = "unlike those picked before it", float(nearest[place])
        shortlist.take(place, score, f"would change the network: gradient of {lengths[place] ** 0.5:.2f}, {kind}")
        inner = (errors @ errors[place]) * (embeddings @ embeddings[place])
        np.minimum(nearest, np.maximum(lengths + lengths[place] - 2 * inner, 0), out=nearest)


def draw(worth: np.ndarray[tuple[int], np.dtype[np.floating]], shortlist: Shortlist, rng: np.random.Generator) -> int:
    """Draw a place by its worth; where nothing is worth anything, any open one."""
    total = np.cumsum(worth, dtype=np.float64)
    if total[-1] <= 0:
        return int(rng.choice(np.flatnonzero(shortlist.open)))
    place = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
    return min(place, int(np.flatnonzero(worth)[-1]))


METHOD = Method(
    "long gradients of the last layer that differ from each other",
    "Ash et al., ICLR 2020, arXiv 1906.03671",
    frozenset({"probabilities", "embeddings"}),
    pick,
)
