"""Dawid and Skene: the truth and each rater's errors from readings alone, by expectation maximisation.

A. P. Dawid and A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
Statistics 28 (1979) 20-28; the numbers of equations below are theirs. A rater who did not read an item says nothing
about it, so readings may be missing anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PRIOR_READINGS, PRIOR_ACCURACY = 2.0, 0.8
"""What a rater is thought to be before any reading: so many readings of each true class, so large a share of them
right. Without it a rater of few readings is soon taken to be faultless, or always wrong."""


@dataclass(frozen=True)
class DawidSkeneFit:
    """A fit.

    Attributes:
        posterior: Probability of each class of each item, `(items, classes)`.
        prevalence: Share of each class, `(classes,)`.
        errors: Probability that a rater says a class (last axis) of an item of a class, `(raters, classes, classes)`.
        log_likelihood: Of the readings and the prior, after each step.
        converged: Whether the last step changed it by less than the tolerance.
    """

    posterior: Floats
    prevalence: Floats
    errors: Floats
    log_likelihood: tuple[float, ...]
    converged: bool

    @property
    def iterations(self) -> int:
        """Number of steps taken."""
        return len(self.log_likelihood)


def fit_dawid_skene(
    counts: npt.ArrayLike, *, prior: float = PRIOR_READINGS, tolerance: float = 1e-8, iterations: int = 5000
) -> DawidSkeneFit:
    """Estimate the classes of items that several raters read.

    The first guess of an item's class is the share of its readings (3.1), so the answer does not depend on chance.

    Args:
        counts: How often a rater said a class of an item, `(items, raters, classes)`; every item has a reading.
        prior: Readings that the prior is worth, see `PRIOR_READINGS`; 0 is the maximum likelihood of the paper.
        tolerance: The fit ends when a step raises the log-likelihood by less than this, per item.
        iterations: Most steps.
    """
    given = np.asarray(counts, np.float64)
    items, raters, classes = given.shape
    flat = given.reshape(items, raters * classes)
    before = np.full((classes, classes), prior * (1 - PRIOR_ACCURACY) / max(classes - 1, 1))
    np.fill_diagonal(before, prior * PRIOR_ACCURACY)
    posterior = given.sum(1)
    posterior /= posterior.sum(1, keepdims=True)
    trace: list[float] = []
    converged = False
    while len(trace) < iterations and not converged:
        expected = np.einsum("ij,ikl->kjl", posterior, given) + before
        # A rater who read no item of a class: every distribution fits equally well, so take the uniform one. The row
        # must be a distribution, because the next step may give that class to an item that the rater did read.
        total = expected.sum(2, keepdims=True)
        errors = np.divide(expected, total, out=np.full_like(expected, 1 / classes), where=total > 0)  # (2.3)
        prevalence = posterior.mean(0)  # (2.4)
        with np.errstate(divide="ignore"):
            log_errors = np.maximum(np.log(errors), _LOG_ZERO)
            log_joint = np.maximum(np.log(prevalence), _LOG_ZERO) + flat @ log_errors.swapaxes(1, 2).reshape(
                -1, classes
            )
        top = log_joint.max(1, keepdims=True)
        likelihood = np.exp(log_joint - top).sum(1, keepdims=True)
        posterior = np.exp(log_joint - top) / likelihood  # (2.5)
        value = float((top + np.log(likelihood)).sum() + (before * log_errors).sum())
        converged = bool(trace) and value - trace[-1] < tolerance * items
        trace.append(value)
    return DawidSkeneFit(posterior, prevalence, errors, tuple(trace), converged)


_LOG_ZERO = -1e4  # logarithm of what never happened: finite, so that no reading of it adds nothing
