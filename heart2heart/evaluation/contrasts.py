"""Intervals that hold with few patients: shares by cluster, and weighted sums and differences of them.

A share is a ratio of sums over clusters, such as the sensitivity of one class. Its interval is Wilson's, with an
effective number of rows from the variance between clusters. The interval of a weighted sum joins those of its shares by
MOVER, with their correlation over the clusters. A difference within one sample, such as that of two models, has a t
interval of the differences by cluster, with a least length where hardly any cluster differs. No replicate is drawn.
docs/results/claims.md has the measured coverage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.intervals import CONFIDENCE, interval_estimate
from heart2heart.schema.site_metrics import Estimate

_BISECTIONS = 40
_ROUNDING = 1e-12  # a smaller influence is a rounding error


@dataclass(frozen=True)
class Shares:
    """Shares of one sample of clusters.

    Attributes:
        sample: Name of the sample, such as the site. Shares of the same sample are paired by cluster.
        value: `(shares,)`.
        influence: Linearised contribution of each cluster `(clusters, shares)`; the sum of squares is the variance.
        exposure: Part of the rows that each cluster has `(clusters, shares)`; each column sums to 1.
        effective: Effective number of independent rows `(shares,)`.
        clusters: Clusters with rows `(shares,)`.
    """

    sample: str
    value: Floats
    influence: Floats
    exposure: Floats
    effective: Floats
    clusters: Floats

    def limits(self, confidence: float) -> tuple[Floats, Floats]:
        """Return the lower and upper limits `(shares,)`; NaN with fewer than two clusters."""
        from scipy.special import stdtrit

        degrees = np.where(self.clusters > 1, self.clusters - 1, np.nan)
        return wilson(self.value, self.effective, np.asarray(stdtrit(degrees, (1 + confidence) / 2)))


def wilson(value: Floats, effective: Floats, quantile: Floats) -> tuple[Floats, Floats]:
    """Return the limits of Wilson's score interval (JASA 1927).

    Args:
        value: Observed share `(...)`.
        effective: Number of independent rows `(...)`; may be a fraction.
        quantile: Quantile of the normal or t distribution `(...)`.

    Examples:
        >>> [round(float(limit), 3) for limit in wilson(np.float64(0.9), np.float64(20), np.float64(1.96))]
        [0.699, 0.972]
    """
    squared = quantile**2 / effective
    centre = (value + squared / 2) / (1 + squared)
    half = np.sqrt(squared * (value * (1 - value) + squared / 4)) / (1 + squared)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def shares_by_cluster(correct: Floats, rows: Floats, sample: str) -> Shares:
    """Compute shares with their variance between clusters.

    The variance is that of a linearised ratio (Cochran, "Sampling Techniques", 1977, section 6.3). The effective number
    of rows is the number of independent rows with this variance (Korn and Graubard, Survey Methodology 1998), at most
    the number of rows. A share of 0 or 1 has no variance; its effective number is that of clusters whose rows are all
    alike.

    Args:
        correct: Rows that count, by cluster `(clusters, shares)`; a mean over runs may be a fraction.
        rows: All rows, by cluster `(clusters, shares)`.
        sample: Name of the sample.

    Examples:
        >>> shares = shares_by_cluster(np.array([[3.0], [1.0], [2.0]]), np.array([[3.0], [3.0], [2.0]]), "north")
        >>> shares.value.round(2).tolist(), [round(float(ends[0]), 2) for ends in shares.limits(0.95)]
        ([0.75], [0.09, 0.99])
    """
    total = rows.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = correct.sum(0) / total
        clusters = (rows > 0).sum(0).astype(np.float64)
        influence = (correct - value * rows) / total * np.sqrt(clusters / (clusters - 1))
        influence = np.where((rows > 0) & (clusters > 1) & (np.abs(influence) > _ROUNDING), influence, 0.0)
        variance = (influence**2).sum(0)
        alike = total**2 / (rows**2).sum(0)
        effective = np.where(variance > 0, np.minimum(value * (1 - value) / variance, total), alike)
    return Shares(sample, value, influence, np.nan_to_num(rows / np.maximum(total, 1)), effective, clusters)


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of shares, such as a balanced accuracy or a difference of two.

    Attributes:
        parts: Shares and their weights `(shares,)`; parts of different samples are independent.
    """

    parts: tuple[tuple[Shares, Floats], ...]

    @cached_property
    def value(self) -> float:
        """The weighted sum."""
        return float(sum(weights @ shares.value for shares, weights in self.parts))

    @cached_property
    def influence(self) -> dict[str, Floats]:
        """Contribution of each cluster `(clusters,)`, by sample."""
        total: dict[str, Floats] = {}
        for shares, weights in self.parts:
            added = shares.influence @ weights
            total[shares.sample] = total[shares.sample] + added if shares.sample in total else added
        return total

    @cached_property
    def variance(self) -> float:
        """Linearised variance of the weighted sum."""
        return float(sum((part**2).sum() for part in self.influence.values()))

    @cached_property
    def _samples(self) -> tuple[_SampleSum, ...]:
        grouped: dict[str, list[tuple[Shares, Floats]]] = {}
        for shares, weights in self.parts:
            grouped.setdefault(shares.sample, []).append((shares, weights))
        return tuple(_SampleSum(tuple(parts)) for parts in grouped.values())

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval of the weighted sum; NaN if a share has fewer than two clusters.

        Independent samples are joined by MOVER: Zou and Donner, "Construction of confidence limits about effect
        measures" (Statistics in Medicine 2008), equations 3 and 4.

        Args:
            confidence: Nominal coverage.
        """
        distances = np.array([part.distances(confidence) for part in self._samples])
        below, above = np.sqrt((distances**2).sum(0))
        return self.value - float(below), self.value + float(above)

    def p_value(self, null: float = 0.0) -> float:
        """Return the two-sided p-value: 1 minus the confidence at which the interval just contains `null`."""
        if self.value == null:
            return 1.0
        smallest, largest = -60.0, 0.0  # of the logarithm of p
        for _ in range(_BISECTIONS):
            middle = (smallest + largest) / 2
            low, high = self.interval(1 - float(np.exp(middle)))
            if low <= null <= high:
                smallest = middle
            else:
                largest = middle
            if middle < -35:  # below the precision of a confidence near 1
                break
        return float(np.exp(largest))


@dataclass(frozen=True)
class _SampleSum:
    """The parts of a contrast that come from one sample."""

    parts: tuple[tuple[Shares, Floats], ...]

    @cached_property
    def weights(self) -> Floats:
        return np.concatenate([weights for _, weights in self.parts])

    @cached_property
    def influence(self) -> Floats:
        return np.concatenate([shares.influence for shares, _ in self.parts], axis=1)

    @cached_property
    def correlation(self) -> Floats:
        return correlations(self.influence)

    def distances(self, confidence: float) -> tuple[float, float]:
        """Return the distances from the value to the lower and the upper limit."""
        if self.weights.min() < 0 < self.weights.max():
            return (half := self._half_length(confidence)), half
        ends = [shares.limits(confidence) for shares, _ in self.parts]
        down = np.concatenate([shares.value - low for (shares, _), (low, _) in zip(self.parts, ends, strict=True)])
        up = np.concatenate([high - shares.value for (shares, _), (_, high) in zip(self.parts, ends, strict=True)])
        positive = self.weights > 0
        below, above = self.weights * np.where(positive, down, up), self.weights * np.where(positive, up, down)
        squares = (float(side @ self.correlation @ side) for side in (below, above))
        first, second = (max(square, 0.0) ** 0.5 for square in squares)
        return first, second

    def _half_length(self, confidence: float) -> float:
        """Return half the length of the interval of a difference within the sample: a t interval with a least length.

        The t interval has the degrees of freedom of how evenly the rows are spread: if every cluster had its rows in
        equal number, they would be the clusters less one. They do not depend on the results. Where hardly any cluster
        differs, the variance between clusters is too small, or zero. The interval is then as long as if, in one more
        cluster of every class, both sides had been right independently of each other.
        """
        from scipy.special import stdtrit

        if min(float(shares.clusters.min()) for shares, _ in self.parts) < 2:
            return float("nan")
        spread = sum((shares.exposure**2) @ weights**2 for shares, weights in self.parts)
        degrees = float(np.sum(spread) ** 2 / np.sum(spread**2)) - 1
        clusters = int(np.count_nonzero(spread))
        quantile, of_clusters = (float(stdtrit(freedom, (1 + confidence) / 2)) for freedom in (degrees, clusters - 1))
        error = math.sqrt(float(((self.influence @ self.weights) ** 2).sum()))
        return max(quantile * error, of_clusters * self._least_error)

    @cached_property
    def _least_error(self) -> float:
        """Standard error of the difference if one more cluster of every class were unpaired."""
        clusters = np.concatenate([1 / (shares.exposure**2).sum(0) for shares, _ in self.parts])
        right = float(np.concatenate([shares.value for shares, _ in self.parts]) @ clusters)
        share = (right / 2 + 1) / (clusters.sum() / 2 + 2)  # each class is on both sides
        return math.sqrt(float((self.weights**2 * share * (1 - share) / (clusters + 2) ** 2).sum()))


def correlations(influence: Floats) -> Floats:
    """Return the correlation over clusters of the columns of `(clusters, shares)`; 0 for a column without spread."""
    length = np.sqrt((influence**2).sum(0))
    scaled = influence / np.where(length > 0, length, 1.0)
    correlation: Floats = scaled.T @ scaled
    np.fill_diagonal(correlation, 1.0)
    return correlation


def mean_share(shares: Shares, labels: Sequence[int]) -> Contrast:
    """Return the mean of some shares, such as the balanced accuracy over the classes `labels`."""
    weights = np.zeros(len(shares.value))
    weights[list(labels)] = 1 / len(labels)
    return Contrast(((_chosen(shares, labels), weights[list(labels)]),))


def _chosen(shares: Shares, labels: Sequence[int]) -> Shares:
    columns = list(labels)
    return Shares(
        shares.sample,
        shares.value[columns],
        shares.influence[:, columns],
        shares.exposure[:, columns],
        shares.effective[columns],
        shares.clusters[columns],
    )


def combine_contrasts(contrasts: Sequence[Contrast], weights: Sequence[float]) -> Contrast:
    """Return the weighted sum of contrasts; those of the same sample stay paired by cluster."""
    return Contrast(
        tuple(
            (shares, weight * inner)
            for contrast, weight in zip(contrasts, weights, strict=True)
            for shares, inner in contrast.parts
        )
    )


def contrast_estimate(
    contrast: Contrast,
    *,
    n: int,
    clusters: int,
    rarest: int | None = None,
    why_not_estimable: str | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Build the estimate of a contrast with its interval.

    Args:
        contrast: The weighted sum; NaN when it is not estimable.
        n: Number of frames or clips in the denominator.
        clusters: Number of clusters with such frames or clips.
        rarest: Number of clusters of the rarest class; None where the contrast is of one class.
        why_not_estimable: Why the interval, or the value if that is NaN, is not estimable.
        confidence: Nominal coverage of the interval.
    """
    return interval_estimate(
        contrast.value,
        lambda: contrast.interval(confidence),
        n=n,
        clusters=clusters,
        rarest=rarest,
        why_not_estimable=why_not_estimable,
    )
