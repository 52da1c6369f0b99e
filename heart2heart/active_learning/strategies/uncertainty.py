"""Uncertainty sampling: entropy, margin, least confidence, and BALD.

For BALD, dropout is applied at prediction alone, to the embedding that enters the last linear layer, since the
networks here are trained without it: an approximation of that layer's posterior at most, not of the network's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, select_top
from heart2heart.active_learning.pool import ClipPool, Floats, Table
from heart2heart.active_learning.strategies.base import QueryStrategy
from heart2heart.schema.clip_probabilities import log_softmax

_PAPER = "Settles 2009, Active Learning Literature Survey, section 3.1"
_NEEDS = frozenset({"probabilities"})


def entropies(probabilities: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Floats:
    """Return the entropy in nats over the last axis of probabilities `(..., classes)`."""
    p = np.asarray(probabilities, np.float64)
    found: Floats = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)
    return np.maximum(found, 0)


def margins(probabilities: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Floats:
    """Return 1 less the lead of the likeliest class over the second, `(n,)`."""
    second, first = np.partition(np.asarray(probabilities, np.float64), -2, axis=1)[:, -2:].T
    return np.asarray(1 - (first - second), np.float64)


def _by_entropy(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    scores = entropies(pool.table("probabilities"))
    most = np.log(len(pool.classes))
    select_top(pool, shortlist, scores, lambda place: f"unsure: entropy {scores[place]:.2f} of at most {most:.2f} nats")


def _by_margin(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    scores = margins(pool.table("probabilities"))
    select_top(pool, shortlist, scores, lambda place: f"two views nearly tie: {1 - scores[place]:.2f} apart")


def _by_confidence(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    scores = 1 - pool.table("probabilities").max(1).astype(np.float64)
    select_top(pool, shortlist, scores, lambda place: f"no view is likely: the best has {1 - scores[place]:.2f}")


ENTROPY = QueryStrategy("highest entropy of the predicted views", _PAPER, _NEEDS, _by_entropy)
MARGIN = QueryStrategy("smallest lead of the likeliest view over the second", _PAPER, _NEEDS, _by_margin)
LEAST_CONFIDENCE = QueryStrategy("lowest probability of the likeliest view", _PAPER, _NEEDS, _by_confidence)


DROPOUT_DRAWS = 32
"""Thinned layers."""
DROPOUT_RATE = 0.5
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


def dropout_probabilities(pool: ClipPool, rng: np.random.Generator) -> Iterator[Table]:
    """Yield the probabilities `(n, classes)` of `DROPOUT_DRAWS` thinnings, each with one mask for all clips.

    A mean of embeddings is thinned in the place of its frames: the layer is linear.
    """
    embeddings, weights, bias = (pool.table(name) for name in ("embeddings", "weights", "bias"))
    for _ in range(DROPOUT_DRAWS):
        kept = (rng.random(len(weights)) >= DROPOUT_RATE) / (1 - DROPOUT_RATE)
        logits = embeddings @ (kept[:, None] * weights).astype(np.float32) + bias
        yield np.exp(log_softmax(logits)).astype(np.float32)


def select_bald(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick by mutual information."""
    scores = mutual_information(dropout_probabilities(pool, rng))
    select_top(pool, shortlist, scores, lambda place: f"thinned networks disagree: {scores[place]:.3f} nats to learn")


BALD = QueryStrategy(
    "most disagreement among networks thinned by dropout before the last layer",
    "Houlsby et al. 2011, arXiv 1112.5745; MC dropout: Gal, Islam and Ghahramani, ICML 2017",
    frozenset({"embeddings", "weights", "bias"}),
    select_bald,
)
