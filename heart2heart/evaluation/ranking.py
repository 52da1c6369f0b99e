"""Statistics of a ranking: how well a score separates negatives (side 0) from positives (side 1).

Every statistic is a function of a histogram `(..., 2, bins)`: the weight by side and score, with the scores ascending.
A stack of histograms gives all bootstrap replicates at once. Equal scores share a bin and count as tied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.intervals import Resamples, Weights, resample
from heart2heart.evaluation.probabilities import equal_mass_bins

SCORE_BINS = 100
"""Bins of the replicates. The estimate itself is exact; the replicates are shifted by the error of the bins."""


def exact_histogram(scores: Floats, positive: Ints, weights: Floats | None = None) -> Floats:
    """Return the weights by side and distinct score, `(2, values)`.

    Args:
        scores: `(n,)`.
        positive: 0 or 1 `(n,)`.
        weights: `(n,)`; 1 when omitted.

    Examples:
        >>> exact_histogram(np.array([0.9, 0.2, 0.9]), np.array([1, 0, 0])).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    values, inverse = np.unique(scores, return_inverse=True)
    sums = np.bincount(inverse + positive * len(values), weights=weights, minlength=2 * len(values))
    return sums.astype(np.float64).reshape(2, len(values))


def clustered_histogram(scores: Floats, positive: Ints, cluster: Ints, clusters: int) -> Floats:
    """Return the counts by cluster, side and bin of equal mass, `(clusters, 2, SCORE_BINS)`; inputs are `(n,)`."""
    bin_index = equal_mass_bins(scores, SCORE_BINS)
    cell = (cluster * 2 + positive) * SCORE_BINS + bin_index
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
    """Compute statistics of one ranking and their resamples.

    Args:
        scores: `(n,)`.
        positive: 1 or 0 `(n,)`.
        cluster: `(n,)`, 0 to `clusters - 1`.
        weights: Cluster weights `(replicates, clusters)`.
        measures: Functions of a histogram `(..., 2, bins)` with results between 0 and 1, by name.
        bca: Also compute the jackknife values that BCa intervals need.

    Returns:
        The exact value and the resamples of each statistic, by name.
    """
    exact = exact_histogram(scores, positive)
    binned = clustered_histogram(scores, positive, cluster, weights.shape[1])
    names = list(measures)

    def measure_all(sums: Floats) -> Floats:
        return np.stack([measures[name](sums) for name in names], axis=-1)

    values, coarse = measure_all(exact[None])[0], measure_all(binned.sum(0)[None])[0]
    draws = resample(weights, binned.astype(np.float32), measure_all, bca=bca)
    return {
        name: (float(values[index]), draws.map(_move_class(index, float(values[index] - coarse[index]))))
        for index, name in enumerate(names)
    }


def _move_class(index: int, shift: float) -> Callable[[Floats], Floats]:
    return lambda values: np.clip(values[..., index] + shift, 0, 1)


def safe_divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; the result is NaN where the denominator is 0."""
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def auroc(histogram: Floats) -> Floats:
    """Compute the area under the ROC curve: `(..., 2, bins)` to `(...)`.

    It is the probability that a positive has a higher score than a negative; ties count one half.

    Examples:
        >>> histogram = exact_histogram(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0]))
        >>> float(auroc(histogram))
        0.75
    """
    negative, positive = histogram[..., 0, :], histogram[..., 1, :]
    below = np.cumsum(negative, axis=-1) - negative / 2
    return safe_divide((positive * below).sum(-1), negative.sum(-1) * positive.sum(-1))


def average_precision_low(histogram: Floats) -> Floats:
    """Compute the average precision of detecting side 0 by low scores: `(..., 2, bins)` to `(...)`.

    The result is NaN if side 0 is empty.
    """
    outside, inside = histogram[..., 0, :], histogram[..., 1, :]
    detected = np.cumsum(outside, axis=-1)
    flagged = detected + np.cumsum(inside, axis=-1)
    precision = np.divide(detected, flagged, out=np.zeros_like(detected), where=flagged > 0)
    return safe_divide((outside * precision).sum(-1), outside.sum(-1))


def false_positive_rate(histogram: Floats, true_positive_rate: float = 0.95) -> Floats:
    """Compute the false positive rate at a given true positive rate: `(..., 2, bins)` to `(...)`.

    Within a bin the ROC curve is linear. The result is NaN if one side is empty.
    """
    negative, positive = histogram[..., 0, ::-1], histogram[..., 1, ::-1]
    total = positive.sum(-1)
    passing = np.cumsum(positive, axis=-1)
    goal = true_positive_rate * total
    bin_index = (passing >= goal[..., None] * (1 - 1e-12)).argmax(-1)[..., None]
    positives_in_bin = np.take_along_axis(positive, bin_index, -1)[..., 0]
    remaining = goal - (np.take_along_axis(passing, bin_index, -1)[..., 0] - positives_in_bin)
    share_of_bin = np.divide(
        remaining, positives_in_bin, out=np.ones_like(positives_in_bin), where=positives_in_bin > 0
    )
    negatives_in_bin = np.take_along_axis(negative, bin_index, -1)[..., 0]
    before = np.take_along_axis(np.cumsum(negative, axis=-1), bin_index, -1)[..., 0] - negatives_in_bin
    rate = safe_divide(before + share_of_bin * negatives_in_bin, negative.sum(-1))
    return np.where(total > 0, rate, np.nan)


def augrc(histogram: Floats) -> Floats:
    """Compute the area under the generalised risk-coverage curve (AUGRC): `(..., 2, bins)` to `(...)`.

    Side 0 holds the wrong predictions, side 1 the correct ones. AUGRC is the share of all frames that are both kept and
    wrong, averaged over the share of kept frames: Traub et al., "Overcoming Common Flaws in the Evaluation of Selective
    Classification Systems" (NeurIPS 2024), equation 6.
    """
    wrong, total = histogram[..., 0, ::-1], histogram.sum(-2)[..., ::-1]
    n = total.sum(-1)
    errors = np.cumsum(wrong, axis=-1) - wrong / 2
    return safe_divide((total * errors).sum(-1), n**2)


def aurc(histogram: Floats) -> Floats:
    """Compute the area under the risk-coverage curve (AURC): `(..., 2, bins)` to `(...)`.

    Side 0 holds the wrong predictions, side 1 the correct ones. AURC is the share of errors among the kept frames,
    averaged over the share of kept frames: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks"
    (NeurIPS 2017). Errors are spread evenly within a tie, and the integral is exact.
    """
    wrong, total = histogram[..., 0, ::-1], histogram.sum(-2)[..., ::-1]
    after, errors = np.cumsum(total, axis=-1), np.cumsum(wrong, axis=-1)
    before, earlier = after - total, errors - wrong
    slope = np.divide(wrong, total, out=np.zeros_like(wrong), where=total > 0)
    first = before <= 0
    ratio = np.divide(after, before, out=np.ones_like(after), where=~first & (total > 0))
    area = wrong + np.where(first, 0.0, (earlier - slope * before) * np.log(ratio))
    return safe_divide(area.sum(-1), total.sum(-1))
