"""Three measures of an unsure prediction: entropy, margin, least confidence."""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Floats, Pool
from heart2heart.curate.queue.shortlist import Shortlist, take_best

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


def _by_entropy(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    scores = entropies(pool.table("probabilities"))
    most = np.log(len(pool.classes))
    take_best(pool, shortlist, scores, lambda place: f"unsure: entropy {scores[place]:.2f} of at most {most:.2f} nats")


def _by_margin(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    scores = margins(pool.table("probabilities"))
    take_best(pool, shortlist, scores, lambda place: f"two views nearly tie: {1 - scores[place]:.2f} apart")


def _by_confidence(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    scores = 1 - pool.table("probabilities").max(1).astype(np.float64)
    take_best(pool, shortlist, scores, lambda place: f"no view is likely: the best has {1 - scores[place]:.2f}")


ENTROPY = Method("highest entropy of the predicted views", _PAPER, _NEEDS, _by_entropy)
MARGIN = Method("smallest lead of the likeliest view over the second", _PAPER, _NEEDS, _by_margin)
LEAST_CONFIDENCE = Method("lowest probability of the likeliest view", _PAPER, _NEEDS, _by_confidence)
