"""Statistics of a ranking: how well a score puts one side above the other.

All are taken from histograms, so that replicates are cheap: weights by score, `(..., 2, bins)`, scores ascending, side
0 first. Equal scores share a bin and count as tied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.intervals import Resamples, Weights, resample
from heart2heart.evaluation.probabilities import equal_mass_bins

SCORE_BINS = 100
"""Bins of the replicates; the value itself is exact, and the replicates are moved by what the bins took from it."""


def exact_histogram(scores: Floats, positive: Ints, weights: Floats | None = None) -> Floats:
    """Return `(2, values)` weights by side and distinct score; inputs are `(n,)`, `positive` 0 or 1."""
    values, inverse = np.unique(scores, return_inverse=True)
    sums = np.bincount(inverse + positive * len(values), weights=weights, minlength=2 * len(values))
    return sums.astype(np.float64).reshape(2, len(values))


def clustered_histogram(scores: Floats, positive: Ints, cluster: Ints, clusters: int) -> Floats:
    """Return `(clusters, 2, SCORE_BINS)` counts by cluster, side and equal-mass score bin; inputs are `(n,)`."""
    place = equal_mass_bins(scores, SCORE_BINS)
    cell = (cluster * 2 + positive) * SCORE_BINS + place
    counts = np.bincount(cell, minlength=clusters * 2 * SCORE_BINS)
    return counts.astype(np.float64).reshape(clusters, 2, SCORE_BINS)


def resample_ranking(
    scores: Floats,
    positive: Ints,
    cluster: Ints,
    weights: Weights,
    measures: Mapping[str, Callable[[Floats], Floats]],
    *,
    bca: bool = False,
) -> dict[str, tuple[float, Resamples]]:
    """Measure one ranking.

    Args:
        scores: `(n,)`.
        positive: 1 or 0 `(n,)`.
        cluster: `(n,)`, 0 to `clusters - 1`.
        weights: Cluster weights `(replicates, clusters)`.
        measures: Statistics of `(..., 2, bins)`, results between 0 and 1.
        bca: Keep what BCa intervals need.

    Returns:
        By name the exact value and the draws.
    """
    exact = exact_histogram(scores, positive)
    binned = clustered_histogram(scores, positive, cluster, weights.shape[1])
    names = list(measures)

    def all_of(sums: Floats) -> Floats:
        return np.stack([measures[name](sums) for name in names], axis=-1)

    values, coarse = all_of(exact[None])[0], all_of(binned.sum(0)[None])[0]
    draws = resample(weights, binned.astype(np.float32), all_of, bca=bca)
    return {
        name: (float(values[place]), draws.map(_move_class(place, float(values[place] - coarse[place]))))
        for place, name in enumerate(names)
    }


def _move_class(place: int, by: float) -> Callable[[Floats], Floats]:
    return lambda found: np.clip(found[..., place] + by, 0, 1)


def safe_divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def auroc(histogram: Floats) -> Floats:
    """Probability that one of side 1 outscores one of side 0, ties counting one half: `(..., 2, bins)` to `(...)`."""
    negative, positive = histogram[..., 0, :], histogram[..., 1, :]
    below = np.cumsum(negative, axis=-1) - negative / 2
    return safe_divide((positive * below).sum(-1), negative.sum(-1) * positive.sum(-1))


def average_precision_low(histogram: Floats) -> Floats:
    """Average precision of finding side 0 by low scores: `(..., 2, bins)` to `(...)`; NaN without side 0."""
    outside, inside = histogram[..., 0, :], histogram[..., 1, :]
    found = np.cumsum(outside, axis=-1)
    flagged = found + np.cumsum(inside, axis=-1)
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    return safe_divide((outside * precision).sum(-1), outside.sum(-1))


def false_positive_rate(histogram: Floats, true_positive_rate: float = 0.95) -> Floats:
    """Share of side 0 that passes where a given share of side 1 does, linear in a bin: `(..., 2, bins)` to `(...)`."""
    negative, positive = histogram[..., 0, ::-1], histogram[..., 1, ::-1]
    total = positive.sum(-1)
    passing = np.cumsum(positive, axis=-1)
    goal = true_positive_rate * total
    place = (passing >= goal[..., None] * (1 - 1e-12)).argmax(-1)[..., None]
    here = np.take_along_axis(positive, place, -1)[..., 0]
    missing = goal - (np.take_along_axis(passing, place, -1)[..., 0] - here)
    part = np.divide(missing, here, out=np.ones_like(here), where=here > 0)
    mine = np.take_along_axis(negative, place, -1)[..., 0]
    before = np.take_along_axis(np.cumsum(negative, axis=-1), place, -1)[..., 0] - mine
    rate = safe_divide(before + part * mine, negative.sum(-1))
    return np.where(total > 0, rate, np.nan)


def augrc(histogram: Floats) -> Floats:
    """Area under the generalised risk-coverage curve: `(..., 2, bins)`, side 0 wrong and side 1 right, to `(...)`.

    Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems" (NeurIPS 2024),
    equation 6: the share of all frames that are kept and wrong, averaged over the share that is kept.
    """
    wrong, total = histogram[..., 0, ::-1], histogram.sum(-2)[..., ::-1]
    n = total.sum(-1)
    errors = np.cumsum(wrong, axis=-1) - wrong / 2
    return safe_divide((total * errors).sum(-1), n**2)


def aurc(histogram: Floats) -> Floats:
    """Area under the risk-coverage curve: `(..., 2, bins)`, side 0 wrong and side 1 right, to `(...)`.

    Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks" (NeurIPS 2017): the share of errors among
    the kept frames, averaged over the share that is kept; within a tie errors are spread evenly, and the integral is
    exact.
    """
    wrong, total = histogram[..., 0, ::-1], histogram.sum(-2)[..., ::-1]
    after, errors = np.cumsum(total, axis=-1), np.cumsum(wrong, axis=-1)
    before, earlier = after - total, errors - wrong
    slope = np.divide(wrong, total, out=np.zeros_like(wrong), where=total > 0)
    first = before <= 0
    ratio = np.divide(after, before, out=np.ones_like(after), where=~first & (total > 0))
    area = wrong + np.where(first, 0.0, (earlier - slope * before) * np.log(ratio))
    return safe_divide(area.sum(-1), total.sum(-1))
