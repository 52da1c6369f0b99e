"""Coverage of intervals with few patients and with few hospitals. All studies are simulated."""

from __future__ import annotations

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.cross_site import random_effects
from heart2heart.evaluation.intervals import cluster_weights, percentile_interval, replicate


def by_patients(clusters: int, runs: int) -> tuple[float, float]:
    """Simulate studies whose patients differ in difficulty and in which of three views they have.

    Returns:
        The share of runs whose interval of balanced accuracy contains the true value, 70 %: with resampled clusters,
        and with resampled frames, which ignores the clustering.
    """
    rng = np.random.default_rng(5)
    views, most, draws = 3, 12, 400
    covered: Floats = np.zeros(2)

    def balanced(total: Floats) -> Floats:
        with np.errstate(invalid="ignore"):  # a replicate without any frame of a view is NaN, and left out
            mean: Floats = (total[:, 0] / total[:, 1]).mean(1)
        return mean

    for study in range(runs):
        chance = rng.beta(1.4, 0.6, (clusters, 1))
        frames = rng.integers(1, most, (clusters, views)) * (rng.random((clusters, views)) < 0.7)
        frames[:2] += 1  # every view is there, from two patients at least
        right = rng.binomial(frames, chance)
        sums = np.stack([right, frames], axis=1).astype(float)
        weights = cluster_weights(clusters, draws, study)
        by_cluster = percentile_interval(replicate(weights, sums, balanced))
        total, hits = frames.sum(0), right.sum(0)
        by_frame = percentile_interval((rng.binomial(total, hits / total, (draws, views)) / total).mean(1))
        for index, (low, high) in enumerate((by_cluster, by_frame)):
            covered[index] += low <= 0.7 <= high
    return float(covered[0] / runs), float(covered[1] / runs)


def between_hospitals(hospitals: int, runs: int) -> tuple[float, float]:
    """Simulate hospitals whose true balanced accuracies spread by .04 about .7, measured with an error of .02 to .045.

    Returns:
        The share of runs whose interval of the mean contains .7, and whose prediction interval contains a new hospital.
    """
    rng = np.random.default_rng(0)
    covered: Floats = np.zeros(2)
    for _ in range(runs):
        variances = rng.uniform(0.5, 2, hospitals) / 1000
        truth = rng.normal(0.7, 0.04, hospitals + 1)
        effects = random_effects(truth[:-1] + rng.normal(0, np.sqrt(variances)), variances)
        ends = ((effects.low, effects.high, 0.7), (effects.prediction_low, effects.prediction_high, truth[-1]))
        for index, (low, high, aim) in enumerate(ends):
            assert low is not None
            assert high is not None
            covered[index] += low <= aim <= high
    return float(covered[0] / runs), float(covered[1] / runs)
