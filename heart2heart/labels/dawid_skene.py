"""Dawid and Skene's model: the true classes and the errors of each rater, estimated by expectation maximisation.

A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
Statistics 28 (1979) 20-28. The comments give the numbers of their equations. Any reading may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PRIOR_READINGS, PRIOR_ACCURACY = 2.0, 0.8
"""Prior of each rater: this many readings of each true class, and this share of them correct. Without a prior, a rater
with few readings is soon estimated as always correct or always wrong."""


@dataclass(frozen=True)
class DawidSkeneFit:
    """The fitted model.

    Attributes:
        posterior: Probability of each class of each item, float64 `(items, classes)`.
        prevalence: Share of each class, float64 `(classes,)`.
        errors: Probability that a rater reads an item of a true class (axis 1) as a class (axis 2), float64 `(raters,
            classes, classes)`. The row of a class that a rater never read is uniform.
        log_likelihood: Log-likelihood of the readings and the prior after each step; it never falls.
        converged: Whether the last step raised the log-likelihood by less than the tolerance.
    """

    posterior: Floats
    prevalence: Floats
    errors: Floats
    log_likelihood: tuple[float, ...]
    converged: bool

    @property
    def iterations(self) -> int:
        """Number of steps."""
        return len(self.log_likelihood)


def fit_dawid_skene(
    counts: npt.ArrayLike, *, prior: float = PRIOR_READINGS, tolerance: float = 1e-8, iterations: int = 5000
) -> DawidSkeneFit:
    """Estimate the classes of items that several raters read.

    The initial posterior of an item is the share of its readings (3.1), so the result does not depend on a seed.

    Args:
        counts: Number of readings by item, rater and class, `(items, raters, classes)`; every item has a reading.
        prior: Weight of the prior in readings, see `PRIOR_READINGS`; 0 gives the maximum likelihood of the paper.
        tolerance: The fit ends when a step raises the log-likelihood by less than this, per item.
        iterations: Largest number of steps.

    Returns:
        The fit; `converged` is false when `iterations` were not enough.

    Examples:
        >>> counts = [[[1, 0], [1, 0]], [[0, 1], [0, 1]], [[1, 0], [0, 1]]]  # three items, two raters, two classes
        >>> fit_dawid_skene(counts).posterior.argmax(1)[:2].tolist()
        [0, 1]
    """
    readings = np.asarray(counts, np.float64)
    items, raters, classes = readings.shape
    flat_readings = readings.reshape(items, raters * classes)
    prior_counts = np.full((classes, classes), prior * (1 - PRIOR_ACCURACY) / max(classes - 1, 1))
    np.fill_diagonal(prior_counts, prior * PRIOR_ACCURACY)
    posterior = readings.sum(1)
    posterior /= posterior.sum(1, keepdims=True)
    trace: list[float] = []
    converged = False
    while len(trace) < iterations and not converged:
        expected = np.einsum("ij,ikl->kjl", posterior, readings) + prior_counts
        # A rater who read no item of a class: every distribution fits equally well, so take the uniform one. The row
        # must be a distribution, because the next step may give that class to an item that the rater did read.
        total = expected.sum(2, keepdims=True)
        errors = np.divide(expected, total, out=np.full_like(expected, 1 / classes), where=total > 0)  # (2.3)
        prevalence = posterior.mean(0)  # (2.4)
        with np.errstate(divide="ignore"):
            log_errors = np.maximum(np.log(errors), _LOG_ZERO)
            log_joint = np.maximum(np.log(prevalence), _LOG_ZERO) + flat_readings @ log_errors.swapaxes(1, 2).reshape(
                -1, classes
            )
        largest = log_joint.max(1, keepdims=True)
        likelihood = np.exp(log_joint - largest).sum(1, keepdims=True)
        posterior = np.exp(log_joint - largest) / likelihood  # (2.5)
        value = float((largest + np.log(likelihood)).sum() + (prior_counts * log_errors).sum())
        converged = bool(trace) and value - trace[-1] < tolerance * items
        trace.append(value)
    return DawidSkeneFit(posterior, prevalence, errors, tuple(trace), converged)


_LOG_ZERO = -1e4  # the logarithm of probability 0: finite, so that its product with a count of 0 is 0
