"""BALD: what random thinnings of the network disagree about, though each of them is sure.

The networks here are trained without dropout. Dropout is applied at prediction alone, to the embedding that enters the
last linear layer: an approximation of that layer's posterior at most, not of the network's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from heart2heart.aggregation import log_softmax
from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.methods.uncertainty import entropies
from heart2heart.curate.queue.pool import Floats, Pool, Table
from heart2heart.curate.queue.shortlist import Shortlist, take_best

DRAWS = 32
"""Thinned layers."""
RATE = 0.5
"""Share of the embedding's numbers that a thinning leaves out."""


def mutual_information(draws: Iterable[Table]) -> Floats:
    """Return the information in nats `(n,)` that a label holds about the weights: H(mean p) - mean H(p).

    Args:
        draws: Probabilities `(n, classes)`, one table a draw, at least one.
    """
    mean: Floats | float = 0.0
    doubt: Floats | float = 0.0
    count = 0
    for draw in draws:
        mean, doubt, count = mean + draw.astype(np.float64), doubt + entropies(draw), count + 1
    return np.maximum(entropies(np.asarray(mean) / count) - doubt / count, 0)


def thinned(pool: Pool, rng: np.random.Generator) -> Iterator[Table]:
    """Yield the probabilities `(n, classes)` of `DRAWS` thinnings, each with one mask for all clips.

    A mean of embeddings is thinned in the place of its frames: the layer is linear.
    """
    embeddings, weights, bias = (pool.table(name) for name in ("embeddings", "weights", "bias"))
    for _ in range(DRAWS):
        kept = (rng.random(len(weights)) >= RATE) / (1 - RATE)
        logits = embeddings @ (kept[:, None] * weights).astype(np.float32) + bias
        yield np.exp(log_softmax(logits)).astype(np.float32)


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by mutual information."""
    scores = mutual_information(thinned(pool, rng))
    take_best(pool, shortlist, scores, lambda place: f"thinned networks disagree: {scores[place]:.3f} nats to learn")


METHOD = Method(
    "most disagreement among networks thinned by dropout before the last layer",
    "Houlsby et al. 2011, arXiv 1112.5745; MC dropout: Gal, Islam and Ghahramani, ICML 2017",
    frozenset({"embeddings", "weights", "bias"}),
    pick,
)
