"""Simultaneous inference: one error rate for all claims of a report, over hospitals and methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.contrasts import Contrast
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.utils import random_stream

_DRAWS = 100_000
_DRAWS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class Family:
    """The contrasts that a report judges, as a family with one error rate.

    Attributes:
        maxima: Largest absolute value of jointly normal statistics with the correlation of the contrasts, sorted
            `(draws,)`.
        tests: Number of contrasts.
    """

    maxima: Floats
    tests: int

    @property
    def each(self) -> float:
        """Confidence of each interval with which all of them hold together at the confidence `CONFIDENCE`."""
        from scipy.special import ndtr

        if self.tests < 2:
            return CONFIDENCE
        return float(1 - 2 * ndtr(-np.quantile(self.maxima, CONFIDENCE)))

    def adjust(self, p: float) -> float:
        """Return the p-value of one contrast adjusted for the family: that of the largest statistic.

        Args:
            p: Two-sided p-value of the contrast on its own.
        """
        from scipy.special import ndtri

        if self.tests < 2:
            return p
        beyond = len(self.maxima) - np.searchsorted(self.maxima, -ndtri(p / 2))
        return float(max(p, (1 + beyond) / (1 + len(self.maxima))))


NO_FAMILY = Family(np.zeros(0), 0)
"""The family without a contrast: nothing is adjusted."""


def make_family(contrasts: Sequence[Contrast], *, draws: int = _DRAWS) -> Family:
    """Compute the joint distribution of the largest statistic of several contrasts.

    This is the single-step maximum test of Hothorn, Bretz and Westfall (Biometrical Journal 2008): each contrast keeps
    its own small-sample interval, and the correlation of the contrasts sets the common confidence. The draws have a
    fixed seed, so equal contrasts give equal numbers.

    Args:
        contrasts: The contrasts that have an interval; those that share a sample are correlated.
        draws: Number of draws, a multiple of 10,000.

    Examples:
        >>> from heart2heart.evaluation.contrasts import mean_share, shares_by_cluster
        >>> correct, rows = np.array([[3.0], [1.0], [2.0]]), np.full((3, 1), 3.0)
        >>> one, two = (mean_share(shares_by_cluster(correct, rows, site), [0]) for site in ("north", "south"))
        >>> round(make_family([one, two]).each, 3), make_family([one, one]).each > 0.949
        (0.974, True)
    """
    if not contrasts:
        return NO_FAMILY
    root = _root(correlation_of(contrasts))
    generator = random_stream(0, "simultaneous", len(contrasts))
    maxima = [
        np.abs(generator.standard_normal((_DRAWS_AT_A_TIME, len(root))) @ root.T).max(1)
        for _ in range(draws // _DRAWS_AT_A_TIME)
    ]
    return Family(np.sort(np.concatenate(maxima)), len(contrasts))


def correlation_of(contrasts: Sequence[Contrast]) -> Floats:
    """Return the correlation matrix of contrasts by their influence; 0 for one without variance."""
    samples = sorted({sample for contrast in contrasts for sample in contrast.influence})
    covariance = np.zeros((len(contrasts), len(contrasts)))
    for sample in samples:
        members = [index for index, contrast in enumerate(contrasts) if sample in contrast.influence]
        influence = np.stack([contrasts[index].influence[sample] for index in members])
        covariance[np.ix_(members, members)] += influence @ influence.T
    deviation = np.sqrt(np.diag(covariance))
    scale = np.where(deviation > 0, deviation, 1.0)
    correlation: Floats = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _root(correlation: Floats) -> Floats:
    """Return a matrix whose product with its transpose is the correlation, which may be singular."""
    values, vectors = np.linalg.eigh(correlation)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
