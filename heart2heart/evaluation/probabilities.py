"""Predicted probabilities: softmax, proper scores, calibration error, and temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.schema.clip_probabilities import log_softmax

TEMPERATURES = 0.05, 20.0
"""Search range: a temperature beyond it only means that all validation frames are correct, or that all are wrong."""


def log_probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """Compute `log softmax(logits / temperature)` over the last axis; the shape is kept.

    Examples:
        >>> np.exp(log_probabilities(np.array([2.0, 0.0]), temperature=2.0)).round(2).tolist()
        [0.73, 0.27]
    """
    return log_softmax(logits / temperature)


def nll_rows(log_p: Floats, truth: Ints) -> Floats:
    """Compute the negative log-likelihood of each row in nats: `(n, classes)` and `(n,)` to `(n,)`."""
    return -np.take_along_axis(log_p, truth[:, None], axis=1)[:, 0]


def brier_rows(log_p: Floats, truth: Ints) -> Floats:
    """Compute the Brier score of each row, summed over the classes (0 to 2): `(n, classes)` and `(n,)` to `(n,)`.

    Examples:
        >>> brier_rows(np.log([[0.7, 0.2, 0.1]]), np.array([1])).round(2).tolist()
        [1.14]
    """
    distance = np.exp(log_p)
    distance[np.arange(len(truth)), truth] -= 1
    squared: Floats = np.square(distance).sum(1)
    return squared


def equal_mass_bins(scores: Floats, bins: int, weights: Floats | None = None) -> Ints:
    """Assign each score to one of `bins` bins of equal weight; equal scores share a bin.

    Args:
        scores: `(n,)`.
        bins: Number of bins; with fewer distinct scores some bins stay empty.
        weights: `(n,)`, positive; 1 when omitted.

    Returns:
        Bin of each score `(n,)`, 0 to `bins - 1`, in the order of the scores.
    """
    mass = np.ones(len(scores)) if weights is None else weights
    values, inverse = np.unique(scores, return_inverse=True)
    by_value = np.bincount(inverse, weights=mass, minlength=len(values))
    middle = (np.cumsum(by_value) - by_value / 2) / max(by_value.sum(), np.finfo(float).tiny)
    bin_index: Ints = np.minimum((middle * bins).astype(np.int64), bins - 1)[inverse]
    return bin_index


@dataclass(frozen=True)
class Reliability:
    """Reliability diagram over the bins that are not empty.

    Attributes:
        confidence: Mean score `(bins,)`.
        frequency: Weighted share of hits `(bins,)`.
        mass: Sum of the weights `(bins,)`.
        count: Number of rows `(bins,)`.
    """

    confidence: Floats
    frequency: Floats
    mass: Floats
    count: Ints


def reliability(scores: Floats, hits: Floats, bins: int, weights: Floats | None = None) -> Reliability:
    """Compute the mean score and the share of hits in bins of equal mass.

    Args:
        scores: Predicted probabilities `(n,)`.
        hits: 1 where the predicted event occurred, else 0 `(n,)`.
        bins: Number of bins.
        weights: `(n,)`; 1 when omitted.
    """
    mass = np.ones(len(scores)) if weights is None else weights
    kept = mass > 0
    scores, hits, mass = scores[kept], hits[kept], mass[kept]
    bin_index = equal_mass_bins(scores, bins, mass)
    total = np.bincount(bin_index, weights=mass, minlength=bins).astype(np.float64)
    filled = total > 0
    confidence = np.bincount(bin_index, weights=mass * scores, minlength=bins)[filled] / total[filled]
    frequency = np.bincount(bin_index, weights=mass * hits, minlength=bins)[filled] / total[filled]
    count = np.bincount(bin_index, minlength=bins)[filled].astype(np.int64)
    return Reliability(confidence, frequency, total[filled], count)


def classwise_ece(log_p: Floats, truth: Ints, bins: int, weights: Floats | None = None) -> float:
    """Compute the class-wise expected calibration error in bins of equal mass, averaged over all classes.

    Kull et al., "Beyond temperature scaling" (NeurIPS 2019), section 2; equal-mass bins: Nixon et al., CVPRW 2019.

    Args:
        log_p: Log-probabilities `(n, classes)`, n > 0.
        truth: True class `(n,)`.
        bins: Number of bins per class.
        weights: `(n,)`; 1 when omitted.
    """
    errors = []
    for label in range(log_p.shape[1]):
        diagram = reliability(np.exp(log_p[:, label]), (truth == label).astype(float), bins, weights)
        errors.append(float((diagram.mass * np.abs(diagram.confidence - diagram.frequency)).sum() / diagram.mass.sum()))
    return float(np.mean(errors))


def fit_temperature(logits: Floats, truth: Ints, weights: Floats | None = None) -> float:
    """Find the temperature in [0.05, 20] that minimises the mean NLL (Guo et al., ICML 2017, section 4.2).

    Args:
        logits: `(n, classes)`, n > 0, of source validation frames only.
        truth: True class `(n,)`.
        weights: `(n,)`; 1 when omitted.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        rows = nll_rows(log_probabilities(logits, float(np.exp(log_temperature))), truth)
        return float(np.average(rows, weights=weights))

    optimum = minimize_scalar(loss, bounds=(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1])), method="bounded")
    return float(np.exp(optimum.x))
