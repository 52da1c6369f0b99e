"""The cluster bootstrap: whole patients are drawn, never frames.

Frames of one patient resemble each other, so an interval from resampled frames is far too narrow (nominal 95 % covered
61 % in simulation). Statistics are kept as sums per cluster: a replicate is multinomial weights times a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from heart2heart.evaluate.classification import Floats
from heart2heart.seeds import stream

Weights = npt.NDArray[np.uint16]

CONFIDENCE = 0.95
FEW_CLUSTERS = 30
_CHUNK = 4_000_000  # numbers held at a time: 32 MB of float64


def cluster_weights(clusters: int, replicates: int, seed: int, *names: str) -> Weights:
    """Draw how often each cluster occurs in each replicate.

    Args:
        clusters: Number of clusters.
        replicates: Number of replicates.
        seed: Root seed.
        names: What the draw is for, e.g. the site: other names give an independent draw.

    Returns:
        Multinomial counts `(replicates, clusters)`; each row sums to `clusters`.
    """
    generator = stream(seed, "bootstrap", *names)
    counts = np.zeros((replicates, clusters), dtype=np.uint16)
    step = max(1, _CHUNK // max(clusters, 1))
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = generator.integers(clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
    return counts


def replicate(weights: Weights, statistics: Floats, measure: Callable[[Floats], Floats]) -> Floats:
    """Measure every replicate.

    Args:
        weights: `(replicates, clusters)` from `cluster_weights`.
        statistics: Additive sufficient statistics of each cluster, `(clusters, ...)`.
        measure: Maps sums `(r, ...)` to results `(r, ...)`.

    Returns:
        The results of all replicates, `(replicates, ...)`.
    """
    flat = statistics.reshape(len(statistics), -1)
    step = max(1, _CHUNK // max(flat.shape[0], flat.shape[1], 1))
    parts = []
    for start in range(0, len(weights), step):
        sums = weights[start : start + step].astype(np.float64) @ flat
        parts.append(measure(sums.reshape(-1, *statistics.shape[1:])))
    return np.concatenate(parts)


def percentile_interval(replicates: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the central `confidence` share of `(replicates,)`; NaN replicates (an empty denominator) are left out."""
    usable = replicates[~np.isnan(replicates)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable, (tail, 1 - tail))
    return float(low), float(high)


def bootstrap_p(replicates: Floats) -> float:
    """Two-sided p-value of "the difference is zero": twice the smaller tail of `(replicates,)`, never 0.

    Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 4.2: one is added to count and total.
    """
    usable = replicates[~np.isnan(replicates)]
    smaller = min(int((usable <= 0).sum()), int((usable >= 0).sum()))
    return min(1.0, 2 * (1 + smaller) / (1 + len(usable)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm, Scandinavian Journal of Statistics 1979), in the given order."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
