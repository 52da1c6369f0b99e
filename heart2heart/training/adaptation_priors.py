"""Class shares of a hospital, estimated from predictions alone, and what follows from them.

All shares are numpy arrays of `(classes,)` that sum to 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_SHARE = 1e-6
"""A share below it counts as this: its logarithm must stay finite."""

MAX_WEIGHT = 5.0
"""Largest weight of a class in `balance_weights`: a few frames of a rare class must not decide the statistics."""


def corrected_probabilities(probabilities: Floats, source: Floats, target: Floats) -> Floats:
    """Return probabilities for a hospital with other class shares (Saerens et al. 2002, equation 2.4).

    Args:
        probabilities: Of a classifier that assumes the shares `source`, `(n, classes)`.
        source: Class shares that the classifier assumes.
        target: Class shares here.
    """
    raised = probabilities * (np.maximum(target, LEAST_SHARE) / np.maximum(source, LEAST_SHARE))
    corrected: Floats = raised / raised.sum(1, keepdims=True)
    return corrected


def estimate_shares_em(
    probabilities: Floats, source: Floats, weights: Floats | None = None, *, iterations: int = 500
) -> Floats:
    """Estimate class shares by expectation maximisation.

    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities" (Neural
    Computation 2002), section 2.3. The estimate is as good as the probabilities are calibrated.

    Args:
        probabilities: Of a classifier that assumes the shares `source`, `(n, classes)`, n > 0.
        source: Class shares that the classifier assumes.
        weights: Weight of each frame `(n,)`; None weighs all the same.
        iterations: Most iterations; they end when no share changes by more than 1e-6.

    Examples:
        >>> rows = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]])
        >>> estimate_shares_em(rows, np.array([0.5, 0.5])).round(2).tolist()
        [0.81, 0.19]
    """
    shares = np.asarray(source, np.float64)
    for _ in range(iterations):
        updated = np.average(corrected_probabilities(probabilities, source, shares), axis=0, weights=weights)
        if np.abs(updated - shares).max() < 1e-6:
            return np.asarray(updated)
        shares = updated
    return shares


def balance_weights(probabilities: Floats, target: Floats, wanted_shares: Floats) -> Floats:
    """Return a weight for each frame, so that the weighted frames have the shares `wanted_shares`.

    Each class weighs `wanted_shares / target`, at most `MAX_WEIGHT`; a frame has the mean weight of its classes under
    its probabilities. A class that does not occur here cannot be brought back.

    Args:
        probabilities: For the shares `target`, `(n, classes)`.
        target: Class shares here.
        wanted_shares: Class shares that the statistics are to have.

    Returns:
        float64 `(n,)`.
    """
    by_class = np.minimum(wanted_shares / np.maximum(target, LEAST_SHARE), MAX_WEIGHT)
    weights: Floats = probabilities @ by_class
    return weights


def shares_overlap(one: Floats, other: Floats) -> float:
    """Return what two distributions of classes have in common: 1 if they are equal, 0 if no class is in both."""
    return float(np.minimum(one, other).sum())


def logit_offset(source: Floats, target: Floats) -> Floats:
    """Return what must be added to logits so that they assume the shares `target` instead of `source`."""
    offset: Floats = np.log(np.maximum(target, LEAST_SHARE)) - np.log(np.maximum(source, LEAST_SHARE))
    return offset


def shares_of_labels(labels: npt.NDArray[np.int64], source: Floats) -> Floats:
    """Estimate class shares from a few labels, drawn towards the source's shares by one label a class.

    Args:
        labels: Class of each labeled clip, drawn at random, `(k,)`.
        source: Class shares of the source.
    """
    classes = len(source)
    shares: Floats = (np.bincount(labels, minlength=classes) + classes * source) / (len(labels) + classes)
    return shares
