"""Probabilities: softmax, proper scores, calibration error, temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.schema.clip_probabilities import log_softmax

TEMPERATURES = 0.05, 20.0
"""The range searched: a temperature beyond it would only say that validation is all right or all wrong."""


def log_probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return `log softmax(logits / temperature)` over the last axis, same shape."""
    return log_softmax(logits / temperature)


def nll_rows(log_p: Floats, truth: Ints) -> Floats:
    """Negative log-likelihood of each row's true class, nats: `(n, classes)` and `(n,)` to `(n,)`."""
    return -np.take_along_axis(log_p, truth[:, None], axis=1)[:, 0]


def brier_rows(log_p: Floats, truth: Ints) -> Floats:
    """Brier score of each row, summed over the classes, 0 to 2: `(n, classes)` and `(n,)` to `(n,)`."""
    distance = np.exp(log_p)
    distance[np.arange(len(truth)), truth] -= 1
    squared: Floats = np.square(distance).sum(1)
    return squared


def equal_mass_bins(scores: Floats, bins: int, weights: Floats | None = None) -> Ints:
    """Assign each score to one of `bins` bins of equal weight; equal scores share a bin.

    Args:
        scores: `(n,)`.
        bins: Number of bins; fewer are used when there are fewer distinct scores.
        weights: `(n,)`, positive; one each when omitted.

    Returns:
        Bin of each score `(n,)`, 0 to `bins - 1`, in the order of the scores.
    """
    mass = np.ones(len(scores)) if weights is None else weights
    values, inverse = np.unique(scores, return_inverse=True)
    by_value = np.bincount(inverse, weights=mass, minlength=len(values))
    middle = (np.cumsum(by_value) - by_value / 2) / max(by_value.sum(), np.finfo(float).tiny)
    place: Ints = np.minimum((middle * bins).astype(np.int64), bins - 1)[inverse]
    return place


@dataclass(frozen=True)
class Reliability:
    """Sums over the bins that hold any weight.

    Attributes:
        confidence: Mean score `(bins,)`.
        frequency: Weighted share of hits `(bins,)`.
        mass: Sum of weights `(bins,)`.
        count: Rows `(bins,)`.
    """

    confidence: Floats
    frequency: Floats
    mass: Floats
    count: Ints


def reliability(scores: Floats, hits: Floats, bins: int, weights: Floats | None = None) -> Reliability:
    """Compare the mean score with the share of hits (0 or 1) in equal-mass bins; all inputs `(n,)`."""
    mass = np.ones(len(scores)) if weights is None else weights
    kept = mass > 0
    scores, hits, mass = scores[kept], hits[kept], mass[kept]
    place = equal_mass_bins(scores, bins, mass)
    total = np.bincount(place, weights=mass, minlength=bins).astype(np.float64)
    filled = total > 0
    confidence = np.bincount(place, weights=mass * scores, minlength=bins)[filled] / total[filled]
    frequency = np.bincount(place, weights=mass * hits, minlength=bins)[filled] / total[filled]
    count = np.bincount(place, minlength=bins)[filled].astype(np.int64)
    return Reliability(confidence, frequency, total[filled], count)


def classwise_ece(log_p: Floats, truth: Ints, bins: int, weights: Floats | None = None) -> float:
    """Class-wise expected calibration error in equal-mass bins, mean over all classes.

    Kull et al., "Beyond temperature scaling" (NeurIPS 2019), section 2; equal-mass bins: Nixon et al., CVPRW 2019.

    Args:
        log_p: Log-probabilities `(n, classes)`, n > 0.
        truth: True class `(n,)`.
        bins: Bins a class.
        weights: `(n,)`; one each when omitted.
    """
    errors = []
    for label in range(log_p.shape[1]):
        found = reliability(np.exp(log_p[:, label]), (truth == label).astype(float), bins, weights)
        errors.append(float((found.mass * np.abs(found.confidence - found.frequency)).sum() / found.mass.sum()))
    return float(np.mean(errors))


def fit_temperature(logits: Floats, truth: Ints, weights: Floats | None = None) -> float:
    """Find the temperature in [0.05, 20] that minimises the mean NLL (Guo et al., ICML 2017, section 4.2).

    Args:
        logits: `(n, classes)`, n > 0, of source validation frames only.
        truth: `(n,)`.
        weights: `(n,)`; one each when omitted.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        rows = nll_rows(log_probabilities(logits, float(np.exp(log_temperature))), truth)
        return float(np.average(rows, weights=weights))

    found = minimize_scalar(loss, bounds=(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1])), method="bounded")
    return float(np.exp(found.x))
