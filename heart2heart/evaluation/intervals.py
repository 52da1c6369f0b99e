"""Cluster bootstrap: resamples of a statistic, its interval, p-values, and the estimate with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.evaluation.classification import Floats
from heart2heart.schema.site_metrics import Estimate
from heart2heart.utils import random_stream

Weights = npt.NDArray[np.uint16]
Singles = npt.NDArray[np.float32]

CONFIDENCE = 0.95
FEW_CLUSTERS = 30
_NUMBERS_AT_A_TIME = 4_000_000  # numbers in memory at a time: 32 MB of float64


def cluster_weights(clusters: int, replicates: int, seed: int, *names: str) -> Weights:
    """Draw how often each cluster occurs in each replicate.

    Args:
        clusters: Number of clusters.
        replicates: Number of replicates.
        seed: Root seed.
        names: Purpose of the draw, such as the site; other names give an independent draw.

    Returns:
        Multinomial counts `(replicates, clusters)`; each row sums to `clusters`.

    Examples:
        >>> weights = cluster_weights(5, 3, 0, "north")
        >>> weights.shape, weights.sum(axis=1).tolist()
        ((3, 5), [5, 5, 5])
    """
    generator = random_stream(seed, "bootstrap", *names)
    counts = np.zeros((replicates, clusters), dtype=np.uint16)
    step = max(1, _NUMBERS_AT_A_TIME // max(clusters, 1))
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = generator.integers(clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
    return counts


@dataclass(frozen=True)
class Resamples:
    """Bootstrap replicates of one statistic.

    Attributes:
        replicates: The statistic of each replicate `(replicates, ...)`; NaN where a denominator is empty.
        jackknife: One array per sample of clusters: the statistic without each of its clusters `(clusters, ...)`. Empty
            for percentile intervals, which do not need it.
    """

    replicates: Floats
    jackknife: tuple[Floats, ...] = ()

    def map(self, measure: Callable[[Floats], Floats]) -> Resamples:
        """Apply a function of the trailing axes."""
        return Resamples(measure(self.replicates), tuple(measure(values) for values in self.jackknife))

    def mean_over(self, labels: Sequence[int]) -> Resamples:
        """Average over some classes: `(..., classes)` to `(...)`."""
        chosen = list(labels)
        return self.map(lambda values: np.asarray(values[..., chosen].mean(-1)))

    def for_class(self, label: int) -> Resamples:
        """Take one class: `(..., classes)` to `(...)`."""
        return self.map(lambda values: values[..., label])

    def interval(self, value: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the BCa interval if there are jackknife values, else the percentile interval.

        Args:
            value: The statistic of the sample.
            confidence: Nominal coverage.
        """
        if not self.jackknife:
            return percentile_interval(self.replicates, confidence)
        return bca_interval(value, self.replicates, self.jackknife, confidence)


def combine_resamples(draws: Sequence[Resamples], weights: Sequence[float], *, paired: bool) -> Resamples:
    """Return the weighted sum of statistics.

    Args:
        draws: One item per statistic, all of the same shape.
        weights: One weight per statistic.
        paired: The statistics are of the same clusters with the same weights. Otherwise the samples are independent.
    """
    total = np.zeros_like(draws[0].replicates)
    for weight, draw in zip(weights, draws, strict=True):
        total += weight * draw.replicates
    if not paired:
        parts = [weight * values for weight, draw in zip(weights, draws, strict=True) for values in draw.jackknife]
        return Resamples(total, tuple(parts))
    jackknife = []
    for index, first in enumerate(draws[0].jackknife):
        values = np.zeros_like(first)
        for weight, draw in zip(weights, draws, strict=True):
            values += weight * draw.jackknife[index]
        jackknife.append(values)
    return Resamples(total, tuple(jackknife))


def resample(
    weights: Weights, statistics: Floats, measure: Callable[[Floats], Floats], *, bca: bool = False
) -> Resamples:
    """Compute a statistic of every replicate and, for BCa intervals, of the sample without each cluster.

    The arguments are those of `replicate`.
    """
    replicates = replicate(weights, statistics, measure)
    return Resamples(replicates, (measure(statistics.sum(0) - statistics),)) if bca else Resamples(replicates)


def replicate(weights: Weights, statistics: Floats | Singles, measure: Callable[[Floats], Floats]) -> Floats:
    """Compute a statistic of every replicate.

    Args:
        weights: `(replicates, clusters)` from `cluster_weights`.
        statistics: Additive sufficient statistics of each cluster, `(clusters, ...)`. Counts may be float32, which
            holds integers up to 2**24 exactly and halves the time.
        measure: Function from sums `(r, ...)` to the statistic `(r, ...)`.

    Returns:
        The statistic of each replicate, `(replicates, ...)`.
    """
    flat = statistics.reshape(len(statistics), -1)
    step = max(1, _NUMBERS_AT_A_TIME // max(flat.shape[0], flat.shape[1], 1))
    parts = []
    for start in range(0, len(weights), step):
        sums = np.matmul(weights[start : start + step].astype(flat.dtype), flat).astype(np.float64)
        parts.append(measure(sums.reshape(-1, *statistics.shape[1:])))
    return np.concatenate(parts)


def percentile_interval(replicates: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the percentile interval of `(replicates,)`; NaN replicates (an empty denominator) are ignored.

    Examples:
        >>> [round(limit, 3) for limit in percentile_interval(np.linspace(0, 1, 1001))]
        [0.025, 0.975]
    """
    usable = replicates[~np.isnan(replicates)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, (tail, 1 - tail))
    return float(low), float(high)


def bca_interval(
    value: float, replicates: Floats, jackknife: Sequence[Floats], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval.

    Efron, "Better bootstrap confidence intervals" (JASA 1987); several samples: Davison and Hinkley, section 5.3.2.

    Args:
        value: The statistic on the sample.
        replicates: `(replicates,)`; NaN replicates are ignored.
        jackknife: One array per sample: the statistic without each cluster `(clusters,)`. NaN, if only that cluster
            has a view, counts as no influence.
        confidence: Nominal coverage.
    """
    from scipy.stats import norm

    usable = replicates[~np.isnan(replicates)]
    below = ((usable < value).mean() + (usable <= value).mean()) / 2  # ties count one half
    shift = float(norm.ppf(np.clip(below, 1 / (len(usable) + 1), len(usable) / (len(usable) + 1))))
    influence = np.concatenate([np.nan_to_num(np.nanmean(part) - part) for part in jackknife])
    spread = float((influence**2).sum()) ** 1.5
    acceleration = float((influence**3).sum()) / (6 * spread) if spread > 0 else 0.0
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = shift + float(norm.ppf(tail))
        ends.append(float(norm.cdf(shift + moved / (1 - acceleration * moved))))
    low, high = np.quantile(usable, ends)
    return float(low), float(high)


def bootstrap_p(replicates: Floats) -> float:
    """Compute the two-sided p-value of a difference: twice the smaller tail of its `(replicates,)`, never 0.

    One is added to the count and to the total (Davison and Hinkley, "Bootstrap Methods and their Application", 1997,
    section 4.2).

    Examples:
        >>> bootstrap_p(np.array([0.1] * 97 + [-0.1] * 2))
        0.06
    """
    usable = replicates[~np.isnan(replicates)]
    smaller = min(int((usable <= 0).sum()), int((usable >= 0).sum()))
    return min(1.0, 2 * (1 + smaller) / (1 + len(usable)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple tests (Holm, Scandinavian Journal of Statistics 1979); the order is kept.

    Examples:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def make_estimate(
    value: float,
    draws: Resamples,
    *,
    n: int,
    clusters: int,
    why_not_estimable: str | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Build an estimate with its interval.

    Args:
        value: The statistic of the sample; NaN when it is not estimable.
        draws: Resamples of the statistic, `(replicates,)`.
        n: Number of frames or clips in the denominator.
        clusters: Number of clusters with such frames or clips.
        why_not_estimable: Why the interval, or the value if that is NaN, is not estimable.
        confidence: Nominal coverage of the interval.
    """
    return interval_estimate(
        value,
        lambda: draws.interval(value, confidence),
        n=n,
        clusters=clusters,
        why_not_estimable=why_not_estimable,
    )


def interval_estimate(
    value: float,
    interval: Callable[[], tuple[float, float]],
    *,
    n: int,
    clusters: int,
    rarest: int | None = None,
    why_not_estimable: str | None = None,
) -> Estimate:
    """Build an estimate; the interval is computed only if it is estimable.

    Args:
        value: The statistic of the sample; NaN when it is not estimable.
        interval: Returns the lower and the upper limit.
        n: Number of frames or clips in the denominator.
        clusters: Number of clusters with such frames or clips.
        rarest: Number of clusters of the rarest class that the statistic averages over; None for other statistics.
        why_not_estimable: Why the interval, or the value if that is NaN, is not estimable.
    """
    few = (clusters if rarest is None else min(clusters, rarest)) < FEW_CLUSTERS
    low: float | None = None
    high: float | None = None
    reason, number = why_not_estimable, None if math.isnan(value) else value
    if number is not None and reason is None:
        low, high = interval()
        no_spread = "no spread between the clusters: the interval cannot show the remaining uncertainty"
        reason = no_spread if low == high else None
    return Estimate(
        value=number, low=low, high=high, n=n, clusters=clusters, rarest=rarest, few_clusters=few, reason=reason
    )


def not_estimable(reason: str, *, n: int = 0, clusters: int = 0) -> Estimate:
    """Return an estimate without a value, with the reason."""
    few = clusters < FEW_CLUSTERS
    return Estimate(value=None, low=None, high=None, n=n, clusters=clusters, few_clusters=few, reason=reason)
