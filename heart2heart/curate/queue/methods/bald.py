"""BALD: what random thinnings of the network disagree about, though each of them is sure.

The networks here are trained without dropout. Dropout is applied at prediction alone, to the embedding that enters the
last linear layer: an approximation of that layer's posterior at most, not of the network's.
"""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.methods.uncertainty import entropies
from heart2heart.curate.queue.pool import Floats, Pool, Table
from heart2heart.curate.queue.shortlist import Shortlist, take_best

DRAWS = 32
"""Thinned layers."""
RATE = 0.5
"""Share of the embedding's numbers that a thinning leaves out."""


def mutual_information(draws: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Floats:
    """Return the information in nats `(n,)` that a label holds about the weights: H(mean p) - mean H(p).

    Args:
        draws: Probabilities `(draws, n, classes)`.
    """
    found: Floats = entropies(draws.mean(0)) - entropies(draws).mean(0)
    return np.maximum(found, 0)


def thinned(pool: Pool, rng: np.random.Generator) -> Table:
    """Return the probabilities `(DRAWS, n, classes)` under dropout, one mask for all clips in each draw.

    A mean of embeddings is thinned in the place of its frames: the layer is linear.
    """
    embeddings, weights, bias = (pool.table(name) for name in ("embeddings", "weights", "bias"))
    found = np.empty((DRAWS, len(pool), len(bias)), np.float32)
    for draw in found:
        kept = (rng.random(len(weights)) >= RATE) / (1 - RATE)
        logits = embeddings @ (kept[:, None] * weights).astype(np.float32) + bias
        share = np.exp(logits - logits.max(1, keepdims=True))
        draw[:] = share / share.sum(1, keepdims=True)
    return found


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by mutual information."""
    scores = mutual_information(thinned(pool, rng))
    take_best(
        pool, shortlist, scores, lambda place: f"thinned networks disagree: {scores[place]:.3f} nats to be learned"
    )


METHOD = Method(
    "most disagreement among networks thinned by dropout before the last layer",
    "Houlsby et al. 2011, arXiv 1112.5745; MC dropout: Gal, Islam and Ghahramani, ICML 2017",
    frozenset({"embeddings", "weights", "bias"}),
    pick,
)
