"""From a value and its replicates to an `Estimate`, with the reason where one cannot be given."""

from __future__ import annotations

import math

from heart2heart.evaluate.bootstrap import CONFIDENCE, FEW_CLUSTERS, Draws
from heart2heart.evaluate.site_schema import Estimate


def estimate(
    value: float,
    draws: Draws,
    *,
    n: int,
    clusters: int,
    blocked: str | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Build an estimate.

    Args:
        value: The statistic on the sample; NaN when it is not estimable.
        draws: The statistic under resampling, `(replicates,)`.
        n: Frames or clips in the denominator.
        clusters: Clusters those come from.
        blocked: Why the interval, or the value if that is NaN, is not estimable.
        confidence: Nominal coverage of the interval.
    """
    few = clusters < FEW_CLUSTERS
    if math.isnan(value):
        return Estimate(value=None, low=None, high=None, n=n, clusters=clusters, few_clusters=few, reason=blocked)
    if blocked is not None:
        return Estimate(value=value, low=None, high=None, n=n, clusters=clusters, few_clusters=few, reason=blocked)
    low, high = draws.interval(value, confidence)
    same = "no spread between the clusters: the interval cannot show the uncertainty that remains"
    reason = same if low == high else None
    return Estimate(value=value, low=low, high=high, n=n, clusters=clusters, few_clusters=few, reason=reason)


def missing(reason: str, *, n: int = 0, clusters: int = 0) -> Estimate:
    """Return an estimate that is not estimable, and why."""
    few = clusters < FEW_CLUSTERS
    return Estimate(value=None, low=None, high=None, n=n, clusters=clusters, few_clusters=few, reason=reason)
