"""Quality of the confidence of predictions at one site: calibration, selective prediction, open set.

Open set means the detection of frames whose view is not a class.
"""

from __future__ import annotations

import math

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.intervals import cluster_weights, make_estimate, not_estimable, replicate, resample
from heart2heart.evaluation.probabilities import (
    brier_rows,
    classwise_ece,
    equal_mass_bins,
    log_probabilities,
    nll_rows,
    reliability,
)
from heart2heart.evaluation.ranking import (
    augrc,
    aurc,
    auroc,
    average_precision_low,
    exact_histogram,
    false_positive_rate,
    resample_ranking,
    safe_divide,
)
from heart2heart.evaluation.samples import SiteSample
from heart2heart.evaluation.sites import KEPT_ON_VALIDATION, EvaluationContext, ScoredSite
from heart2heart.schema.site_metrics import (
    Calibration,
    Estimate,
    OpenSet,
    OpenSetScore,
    ReliabilityBin,
    RiskPoint,
    Selective,
)

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
    bins = reliability(np.exp(log_p.max(1)), correct, diagram_bins(len(correct)))
    return tuple(
        ReliabilityBin(confidence=float(confidence), accuracy=float(accuracy), n=int(count))
        for confidence, accuracy, count in zip(bins.confidence, bins.frequency, bins.count, strict=True)
    )


def diagram_bins(rows: int) -> int:
    """Return the number of bins of a reliability diagram of so many rows."""
    return min(ECE_BINS, max(2, rows // _FRAMES_PER_BIN))


_POINTS = 20


def frozen_threshold(log_p: Floats) -> float | None:
    """Return the confidence that keeps the share `KEPT_ON_VALIDATION` of the source validation frames.

    Args:
        log_p: Log-probabilities of the source validation frames `(n, classes)`.

    Returns:
        The threshold on the largest probability; None without a frame.
    """
    if not len(log_p):
        return None
    return float(np.quantile(np.exp(log_p.max(1)), 1 - KEPT_ON_VALIDATION, method="lower"))


def score_selective(site: ScoredSite, log_p: Floats, threshold: float | None, context: EvaluationContext) -> Selective:
    """Compute risk and coverage when frames with a low largest probability are withheld.

    Args:
        site: The site.
        log_p: Log-probabilities of the scored frames `(n, classes)`, without temperature scaling.
        threshold: From `frozen_threshold`.
        context: Unit and kind of interval.
    """
    confidence = np.exp(log_p.max(1))
    correct = (log_p.argmax(1) == site.truth).astype(np.int64)
    reason = None if site.clusters > 1 else f"only one {context.unit}; an interval needs two"
    measured = resample_ranking(
        confidence, correct, site.cluster, site.frames.weights, {"augrc": augrc, "aurc": aurc}, bca=context.bca
    )
    areas = {
        name: make_estimate(value, draws, n=len(correct), clusters=site.clusters, why_not_estimable=reason)
        for name, (value, draws) in measured.items()
    }
    coverage, risk = _at_threshold(site, confidence, correct, threshold, context)
    return Selective(
        augrc=areas["augrc"],
        aurc=areas["aurc"],
        curve=risk_coverage(confidence, correct),
        threshold=threshold,
        coverage=coverage,
        risk=risk,
    )


def risk_coverage(confidence: Floats, correct: Ints) -> tuple[RiskPoint, ...]:
    """Compute the risk-coverage curve of `n` frames; frames of equal confidence are withheld in random order.

    Args:
        confidence: Confidence of each frame `(n,)`.
        correct: 1 for a correct prediction, 0 for a wrong one `(n,)`.
    """
    histogram = exact_histogram(confidence, correct)[:, ::-1] / len(correct)
    kept = np.concatenate([[0.0], np.cumsum(histogram.sum(0))])
    errors = np.concatenate([[0.0], np.cumsum(histogram[0])])
    coverage = np.arange(1, _POINTS + 1) / _POINTS
    risk = np.interp(coverage, kept, errors) / coverage
    return tuple(RiskPoint(coverage=float(c), risk=float(r)) for c, r in zip(coverage, risk, strict=True))


def _at_threshold(
    site: ScoredSite, confidence: Floats, correct: Ints, threshold: float | None, context: EvaluationContext
) -> tuple[Estimate, Estimate]:
    """Estimate the coverage at the threshold, and the risk among the kept frames."""
    n = len(correct)
    if threshold is None:
        nothing = not_estimable("no source validation frame to set a threshold", n=n, clusters=site.clusters)
        return nothing, nothing
    kept = confidence >= threshold
    columns = [np.ones(n), kept, kept & (correct == 0)]
    sums = np.stack([np.bincount(site.cluster, column) for column in columns], axis=1).astype(np.float64)
    weights = site.frames.weights
    shares = resample(weights, sums, lambda total: safe_divide(total[:, 1:], total[:, :2]), bca=context.bca)
    one_cluster = f"only one {context.unit}; an interval needs two"
    reason = None if site.clusters > 1 else one_cluster
    coverage = make_estimate(
        float(kept.mean()), shares.for_class(0), n=n, clusters=site.clusters, why_not_estimable=reason
    )
    kept_clusters, kept_count = int((sums[:, 1] > 0).sum()), int(kept.sum())
    if not kept_count:
        return coverage, not_estimable("the threshold keeps no frame at this hospital", clusters=0)
    risk = make_estimate(
        float((correct[kept] == 0).mean()),
        shares.for_class(1),
        n=kept_count,
        clusters=kept_clusters,
        why_not_estimable=None if kept_clusters > 1 else one_cluster,
    )
    return coverage, risk


MEASURES = {"auroc": auroc, "aupr": average_precision_low, "fpr95": false_positive_rate}


def open_set_scores(logits: Floats) -> dict[str, Floats]:
    """Compute three scores that should be high for frames of a scored view.

    The largest probability is from Hendrycks and Gimpel (ICLR 2017), the largest logit from Hendrycks et al. (ICML
    2022), and the negative free energy at temperature 1 from Liu et al. (NeurIPS 2020).

    Args:
        logits: `(n, classes)`.

    Returns:
        Scores `(n,)` by name: `max_probability`, `max_logit` and `energy`.

    Examples:
        >>> scores = open_set_scores(np.array([[2.0, 0.0], [0.0, 0.0]]))
        >>> {name: values.round(2).tolist() for name, values in scores.items()}
        {'max_probability': [0.88, 0.5], 'max_logit': [2.0, 0.0], 'energy': [2.13, 0.69]}
    """
    largest = logits.max(1)
    energy = largest + np.log(np.exp(logits - largest[:, None]).sum(1))
    return {"max_probability": np.exp(log_probabilities(logits).max(1)), "max_logit": largest, "energy": energy}


def score_open_set(sample: SiteSample, run: int, context: EvaluationContext) -> OpenSet:
    """Measure how well each score separates frames of scored views from frames of other views."""
    inside = sample.scored.astype(np.int64)
    scores = open_set_scores(sample.logits[run])
    if inside.all() or not inside.any():
        side = "of another view" if len(inside) and inside.all() else "of a scored view"
        nothing = not_estimable(f"no test frame {side} at this hospital")
        empty = OpenSetScore(auroc=nothing, aupr=nothing, fpr95=nothing)
        return OpenSet(auroc=nothing, scores=dict.fromkeys(scores, empty), outside=sample.outside)
    names, cluster = np.unique(sample.cluster, return_inverse=True)
    weights = cluster_weights(len(names), context.replicates, context.seed, sample.site, "open set")
    fewest_clusters = min(len(np.unique(cluster[inside == side])) for side in (0, 1))
    reason = (
        None
        if fewest_clusters > 1
        else f"one of the two groups comes from only one {context.unit}; an interval needs two"
    )
    measured_scores = {}
    for name, values in scores.items():
        measured = resample_ranking(values, inside, cluster, weights, MEASURES, bca=context.bca)
        measured_scores[name] = OpenSetScore(
            **{
                measure: make_estimate(value, draws, n=len(inside), clusters=len(names), why_not_estimable=reason)
                for measure, (value, draws) in measured.items()
            }
        )
    return OpenSet(auroc=measured_scores["max_probability"].auroc, scores=measured_scores, outside=sample.outside)
