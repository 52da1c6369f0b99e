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
_FRAMES_PER_BIN = 25  # with fewer frames in a bin, the reliability diagram is mostly noise
_VARIANCE_REPLICATES = 1000  # sufficient for a variance


def mean_of_rows(site: ScoredSite, rows: Floats, context: EvaluationContext) -> Estimate:
    """Estimate the mean of a score `(n,)` over the scored frames, with an interval."""
    sums = np.stack([np.bincount(site.cluster, weights=rows), np.bincount(site.cluster)], axis=1).astype(np.float64)
    draws = resample(site.frames.weights, sums, lambda total: total[:, 0] / total[:, 1], bca=context.bca)
    reason = None if site.clusters > 1 else f"only one {context.unit}; an interval needs two"
    return make_estimate(float(rows.mean()), draws, n=len(rows), clusters=site.clusters, why_not_estimable=reason)


def calibrate(site: ScoredSite, log_p: Floats, context: EvaluationContext) -> Calibration:
    """Compute the calibration measures of the log-probabilities `(n, classes)` of the scored frames."""
    return Calibration(
        nll=mean_of_rows(site, nll_rows(log_p, site.truth), context),
        brier=mean_of_rows(site, brier_rows(log_p, site.truth), context),
        ece=classwise_ece(log_p, site.truth, ECE_BINS),
        rms_debiased=rms_debiased(site, log_p),
    )


def rms_debiased(site: ScoredSite, log_p: Floats) -> float | None:
    """Compute the debiased class-wise root-mean-square calibration error; None with a single cluster.

    In each bin, the squared gap between confidence and frequency is biased upwards by the sampling variance of the gap
    (Kumar, Liang and Ma, "Verified Uncertainty Calibration", NeurIPS 2019, section 4, for independent rows). This
    function subtracts the variance over resampled clusters, because frames of one patient are not independent. A
    negative result is set to 0.
    """
    if site.clusters < 2:
        return None
    squared_errors = []
    weights = site.frames.weights[:_VARIANCE_REPLICATES]
    for label in range(log_p.shape[1]):
        score = np.exp(log_p[:, label])
        cell = site.cluster * ECE_BINS + equal_mass_bins(score, ECE_BINS)
        row_values = (score - (site.truth == label), np.ones(len(score)))
        columns = [np.bincount(cell, values, site.clusters * ECE_BINS) for values in row_values]
        sums: Floats = np.stack(columns, axis=-1).astype(np.float64).reshape(site.clusters, ECE_BINS, 2)
        total = sums.sum(0)
        filled = total[:, 1] > 0
        gap = total[filled, 0] / total[filled, 1]
        gaps = replicate(weights, sums[:, filled], lambda resampled: safe_divide(resampled[..., 0], resampled[..., 1]))
        defined = ~np.isnan(gaps)
        variance = np.nanvar(np.where(defined.any(0), gaps, 0.0), axis=0)
        squared_errors.append(float((total[filled, 1] * (gap**2 - variance)).sum() / total[:, 1].sum()))
    return math.sqrt(max(0.0, float(np.mean(squared_errors))))


def reliability_diagram(site: ScoredSite, log_p: Floats) -> tuple[ReliabilityBin, ...]:
    """Compute the reliability diagram of the predicted view: confidence and accuracy in bins of equal mass."""
    correct = (log_p.argmax(1) == site.truth).astype(np.float64)
    bin_count = min(ECE_BINS, max(2, len(correct) // _FRAMES_PER_BIN))
    bins = reliability(np.exp(log_p.max(1)), correct, bin_count)
    return tuple(
        ReliabilityBin(confidence=float(confidence), accuracy=float(accuracy), n=int(count))
        for confidence, accuracy, count in zip(bins.confidence, bins.frequency, bins.count, strict=True)
    )
