"""Calibration at one site: proper scores with intervals, calibration errors, the reliability diagram."""

from __future__ import annotations

import math

import numpy as np

from heart2heart.evaluation.aggregation import EvaluationContext
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.intervals import make_estimate, replicate, resample
from heart2heart.evaluation.probabilities import brier_rows, classwise_ece, equal_mass_bins, nll_rows, reliability
from heart2heart.evaluation.ranking import safe_divide
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import Calibration, Estimate, ReliabilityBin

ECE_BINS = 15
_FRAMES_A_POINT = 25  # fewer frames a point make the reliability diagram jump about
_VARIANCE_REPLICATES = 1000  # enough for a variance


def mean_of_rows(site: ScoredSite, rows: Floats, setting: EvaluationContext) -> Estimate:
    """Estimate the mean over the scored frames of a per-frame score `(n,)`."""
    sums = np.stack([np.bincount(site.cluster, weights=rows), np.bincount(site.cluster)], axis=1).astype(np.float64)
    draws = resample(site.frames.weights, sums, lambda total: total[:, 0] / total[:, 1], bca=setting.bca)
    blocked = None if site.clusters > 1 else f"only one {setting.unit}; an interval needs two"
    return make_estimate(float(rows.mean()), draws, n=len(rows), clusters=site.clusters, why_not_estimable=blocked)


def calibrate(site: ScoredSite, log_p: Floats, setting: EvaluationContext) -> Calibration:
    """Describe the calibration of `log_p`, `(n, classes)` of the scored frames."""
    return Calibration(
        nll=mean_of_rows(site, nll_rows(log_p, site.truth), setting),
        brier=mean_of_rows(site, brier_rows(log_p, site.truth), setting),
        ece=classwise_ece(log_p, site.truth, ECE_BINS),
        rms_debiased=rms_debiased(site, log_p),
    )


def rms_debiased(site: ScoredSite, log_p: Floats) -> float | None:
    """Class-wise root-mean-square calibration error without what sampling alone would give; None for one cluster.

    In each bin the squared gap between confidence and frequency is, on average, too large by the gap's sampling
    variance (Kumar, Liang and Ma, "Verified Uncertainty Calibration", NeurIPS 2019, section 4, for independent rows).
    Here the variance is that over resampled clusters, as frames of one patient are not independent. Below zero is zero.
    """
    if site.clusters < 2:
        return None
    squares = []
    weights = site.frames.weights[:_VARIANCE_REPLICATES]
    for label in range(log_p.shape[1]):
        score = np.exp(log_p[:, label])
        cell = site.cluster * ECE_BINS + equal_mass_bins(score, ECE_BINS)
        parts = (score - (site.truth == label), np.ones(len(score)))
        columns = [np.bincount(cell, part, site.clusters * ECE_BINS) for part in parts]
        sums: Floats = np.stack(columns, axis=-1).astype(np.float64).reshape(site.clusters, ECE_BINS, 2)
        total = sums.sum(0)
        filled = total[:, 1] > 0
        gap = total[filled, 0] / total[filled, 1]
        gaps = replicate(weights, sums[:, filled], lambda found: safe_divide(found[..., 0], found[..., 1]))
        seen = ~np.isnan(gaps)
        variance = np.nanvar(np.where(seen.any(0), gaps, 0.0), axis=0)
        squares.append(float((total[filled, 1] * (gap**2 - variance)).sum() / total[:, 1].sum()))
    return math.sqrt(max(0.0, float(np.mean(squares))))


def reliability_diagram(site: ScoredSite, log_p: Floats) -> tuple[ReliabilityBin, ...]:
    """Return the points of the reliability diagram of the predicted view."""
    right = (log_p.argmax(1) == site.truth).astype(np.float64)
    number = min(ECE_BINS, max(2, len(right) // _FRAMES_A_POINT))
    bins = reliability(np.exp(log_p.max(1)), right, number)
    return tuple(
        ReliabilityBin(confidence=float(confidence), accuracy=float(accuracy), n=int(count))
        for confidence, accuracy, count in zip(bins.confidence, bins.frequency, bins.count, strict=True)
    )
