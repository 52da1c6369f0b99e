"""Expected gradient norm: how much the label would change the last layer, over what it may turn out to be."""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.distances import squares
from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Floats, Pool
from heart2heart.curate.queue.shortlist import Shortlist, take_best


def expected_norms(pool: Pool) -> Floats:
    """Return the expectation over the predicted classes of the norm of the cross-entropy's gradient, `(n,)`.

    By the weights and bias of the last layer, for class y, it is |p - e_y| sqrt(|embedding|^2 + 1), and |p - e_y|^2 is
    |p|^2 - 2 p_y + 1.
    """
    p = pool.table("probabilities").astype(np.float64)
    errors = np.sqrt(np.maximum((p**2).sum(1, keepdims=True) - 2 * p + 1, 0))
    found: Floats = (p * errors).sum(1) * np.sqrt(squares(pool.table("embeddings")).astype(np.float64) + 1)
    return found


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by the expected norm."""
    scores = expected_norms(pool)
    take_best(pool, shortlist, scores, lambda place: f"its label would change the network: by {scores[place]:.2f}")


METHOD = Method(
    "largest expected gradient of the last layer",
    "Settles, Craven and Ray, NIPS 2007, Multiple-Instance Active Learning (expected gradient length)",
    frozenset({"probabilities", "embeddings"}),
    pick,
)
