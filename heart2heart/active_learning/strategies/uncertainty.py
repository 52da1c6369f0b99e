"""Uncertainty sampling (entropy, margin, least confidence, BALD) and disagreement of two states of one network.

BALD applies dropout at prediction alone, to the embedding that enters the last linear layer, because the networks are
trained without dropout. It approximates the posterior of that layer at most, not of the network.

TOD compares two moments of training: with the run of the previous labeling round (`--earlier`), those of the paper;
without it, the run's selected averaged weights and its raw weights at the last step. ST-CoNAL compares student and
teacher: the raw weights at the last step and the running average of the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy, select_top
from heart2heart.active_learning.pool import ClipPool, Floats, Table
from heart2heart.schema.clip_probabilities import log_softmax

SURVEY = "Settles 2009, Active Learning Literature Survey, section 3.1"
_PROBABILITIES = frozenset({"probabilities"})


def entropies(probabilities: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Floats:
    """Return the entropy in nats over the last axis of probabilities `(..., classes)`."""
    p = np.asarray(probabilities, np.float64)
    entropy: Floats = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=-1)
    return np.maximum(entropy, 0)


def margins(probabilities: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Floats:
    """Return 1 minus the lead of the most likely class over the second, `(n,)`."""
    second, first = np.partition(np.asarray(probabilities, np.float64), -2, axis=1)[:, -2:].T
    return np.asarray(1 - (first - second), np.float64)


def _by_entropy(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    scores = entropies(pool.table("probabilities"))
    most = np.log(len(pool.classes))
    select_top(pool, selection, scores, lambda index: f"unsure: entropy {scores[index]:.2f} of at most {most:.2f} nats")


def _by_margin(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    scores = margins(pool.table("probabilities"))
    select_top(pool, selection, scores, lambda index: f"two views nearly tie: {1 - scores[index]:.2f} apart")


def _by_confidence(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    scores = 1 - pool.table("probabilities").max(1).astype(np.float64)
    select_top(pool, selection, scores, lambda index: f"no view is likely: the most likely has {1 - scores[index]:.2f}")


ENTROPY = QueryStrategy("highest entropy of the predicted views", SURVEY, _PROBABILITIES, _by_entropy)
MARGIN = QueryStrategy("smallest lead of the most likely view over the second", SURVEY, _PROBABILITIES, _by_margin)
LEAST_CONFIDENCE = QueryStrategy("lowest probability of the most likely view", SURVEY, _PROBABILITIES, _by_confidence)


DROPOUT_DRAWS = 32
"""Number of dropout masks."""
DROPOUT_RATE = 0.5
"""Probability that a mask sets an element of the embedding to 0."""


def mutual_information(draws: Iterable[Table]) -> Floats:
    """Return the information in nats `(n,)` that a label holds about the weights: H(mean p) - mean H(p).

    Args:
        draws: Probabilities `(n, classes)`, one table per draw, at least one.
    """
    mean: Floats | float = 0.0
    mean_entropy: Floats | float = 0.0
    count = 0
    for draw in draws:
        mean, mean_entropy, count = mean + draw.astype(np.float64), mean_entropy + entropies(draw), count + 1
    return np.maximum(entropies(np.asarray(mean) / count) - mean_entropy / count, 0)


def dropout_probabilities(pool: ClipPool, rng: np.random.Generator) -> Iterator[Table]:
    """Yield the probabilities `(n, classes)` under `DROPOUT_DRAWS` dropout masks, each the same for all clips.

    Dropout is applied to the mean embedding instead of each frame, which is equal because the layer is linear.
    """
    embeddings, weights, bias = (pool.table(name) for name in ("embeddings", "weights", "bias"))
    for _ in range(DROPOUT_DRAWS):
        kept = (rng.random(len(weights)) >= DROPOUT_RATE) / (1 - DROPOUT_RATE)
        logits = embeddings @ (kept[:, None] * weights).astype(np.float32) + bias
        yield np.exp(log_softmax(logits)).astype(np.float32)


def select_bald(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select by mutual information."""
    scores = mutual_information(dropout_probabilities(pool, rng))
    select_top(pool, selection, scores, lambda index: f"dropout masks disagree: {scores[index]:.3f} nats to learn")


BALD = QueryStrategy(
    "most disagreement under dropout before the last layer",
    "Houlsby et al. 2011, arXiv 1112.5745; MC dropout: Gal, Islam and Ghahramani, ICML 2017",
    frozenset({"embeddings", "weights", "bias"}),
    select_bald,
)


def select_tod(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select by the Euclidean distance between the probabilities at two moments of training."""
    change = pool.table("probabilities").astype(np.float64) - pool.table("earlier")
    scores = np.linalg.norm(change, axis=1)
    select_top(pool, selection, scores, lambda index: f"the prediction changed during training: by {scores[index]:.2f}")


TOD = QueryStrategy(
    "largest change of the output between two moments of training (TOD)",
    "Huang et al., ICCV 2021, arXiv 2107.14153",
    frozenset({"probabilities", "earlier"}),
    select_tod,
)


TEMPERATURE = 0.7
"""Temperature T that sharpens the teacher's probabilities: p^(1/T), normalised to sum to 1."""
_MIN_PROBABILITY = 1e-12


def divergence(teacher: Table, student: Table) -> Floats:
    """Return KL(sharpened teacher || student) in nats, `(n,)`, of probabilities `(n, classes)`."""
    powered = np.maximum(teacher.astype(np.float64), _MIN_PROBABILITY) ** (1 / TEMPERATURE)
    sharp = powered / powered.sum(1, keepdims=True)
    log_ratio = np.log(sharp) - np.log(np.maximum(student.astype(np.float64), _MIN_PROBABILITY))
    kl: Floats = (sharp * log_ratio).sum(1)
    return np.maximum(kl, 0)


def select_st_conal(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select by divergence."""
    scores = divergence(pool.table("teacher"), pool.table("student"))
    select_top(pool, selection, scores, lambda index: f"student and teacher disagree: {scores[index]:.3f} nats")


ST_CONAL = QueryStrategy(
    "most disagreement of the network with its running average (ST-CoNAL)",
    "Baik, Yoon and Choi, ACCV 2022, arXiv 2207.02182",
    frozenset({"student", "teacher"}),
    select_st_conal,
)
