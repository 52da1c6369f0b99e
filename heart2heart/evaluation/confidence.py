"""Confidence of predictions: selective prediction, and scores that tell frames outside the taxonomy."""

from __future__ import annotations

import numpy as np

from heart2heart.evaluation.aggregation import KEPT_ON_VALIDATION, EvaluationContext
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.intervals import cluster_weights, make_estimate, not_estimable, resample
from heart2heart.evaluation.probabilities import log_probabilities
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
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import Estimate, OpenSet, OpenSetScore, RiskPoint, Selective

_POINTS = 20


def frozen_threshold(log_p: Floats) -> float | None:
    """Return the confidence that keeps `KEPT_ON_VALIDATION` of source validation frames `(n, classes)`, if any."""
    if not len(log_p):
        return None
    return float(np.quantile(np.exp(log_p.max(1)), 1 - KEPT_ON_VALIDATION, method="lower"))


def score_selective(site: ScoredSite, log_p: Floats, threshold: float | None, setting: EvaluationContext) -> Selective:
    """Compute risk and coverage of raw `log_p`, `(n, classes)` of the scored frames, by their largest probability."""
    confidence = np.exp(log_p.max(1))
    right = (log_p.argmax(1) == site.truth).astype(np.int64)
    blocked = None if site.clusters > 1 else f"only one {setting.unit}; an interval needs two"
    measured = resample_ranking(
        confidence, right, site.cluster, site.frames.weights, {"augrc": augrc, "aurc": aurc}, bca=setting.bca
    )
    areas = {
        name: make_estimate(value, draws, n=len(right), clusters=site.clusters, why_not_estimable=blocked)
        for name, (value, draws) in measured.items()
    }
    coverage, risk = _at_threshold(site, confidence, right, threshold, setting)
    return Selective(
        augrc=areas["augrc"],
        aurc=areas["aurc"],
        curve=risk_coverage(confidence, right),
        threshold=threshold,
        coverage=coverage,
        risk=risk,
    )


def risk_coverage(confidence: Floats, right: Ints) -> tuple[RiskPoint, ...]:
    """Return the risk-coverage curve of `(n,)` frames; those of equal confidence are held back in random order."""
    histogram = exact_histogram(confidence, right)[:, ::-1] / len(right)
    kept = np.concatenate([[0.0], np.cumsum(histogram.sum(0))])
    errors = np.concatenate([[0.0], np.cumsum(histogram[0])])
    coverage = np.arange(1, _POINTS + 1) / _POINTS
    risk = np.interp(coverage, kept, errors) / coverage
    return tuple(RiskPoint(coverage=float(c), risk=float(r)) for c, r in zip(coverage, risk, strict=True))


def _at_threshold(
    site: ScoredSite, confidence: Floats, right: Ints, threshold: float | None, setting: EvaluationContext
) -> tuple[Estimate, Estimate]:
    """Estimate coverage, and risk among the kept, at the threshold."""
    n = len(right)
    if threshold is None:
        nothing = not_estimable("no source validation frame to freeze a threshold on", n=n, clusters=site.clusters)
        return nothing, nothing
    kept = confidence >= threshold
    columns = [np.ones(n), kept, kept & (right == 0)]
    sums = np.stack([np.bincount(site.cluster, column) for column in columns], axis=1).astype(np.float64)
    weights = site.frames.weights
    shares = resample(weights, sums, lambda total: safe_divide(total[:, 1:], total[:, :2]), bca=setting.bca)
    alone = f"only one {setting.unit}; an interval needs two"
    blocked = None if site.clusters > 1 else alone
    coverage = make_estimate(
        float(kept.mean()), shares.for_class(0), n=n, clusters=site.clusters, why_not_estimable=blocked
    )
    holders, passed = int((sums[:, 1] > 0).sum()), int(kept.sum())
    if not passed:
        return coverage, not_estimable("the threshold keeps no frame here", clusters=0)
    risk = make_estimate(
        float((right[kept] == 0).mean()),
        shares.for_class(1),
        n=passed,
        clusters=holders,
        why_not_estimable=None if holders > 1 else alone,
    )
    return coverage, risk


MEASURES = {"auroc": auroc, "aupr": average_precision_low, "fpr95": false_positive_rate}


def open_set_scores(logits: Floats) -> dict[str, Floats]:
    """Return scores that are high for a frame of a scored view: `(n, classes)` to `(n,)` each.

    The largest probability: Hendrycks and Gimpel, ICLR 2017; the largest logit: Hendrycks et al., ICML 2022; the
    negative free energy at temperature 1: Liu et al., NeurIPS 2020.
    """
    largest = logits.max(1)
    energy = largest + np.log(np.exp(logits - largest[:, None]).sum(1))
    return {"max_probability": np.exp(log_probabilities(logits).max(1)), "max_logit": largest, "energy": energy}


def score_open_set(sample: SiteSample, run: int, setting: EvaluationContext) -> OpenSet:
    """Compare the scores of frames of scored views with those of frames outside the taxonomy."""
    inside = sample.scored.astype(np.int64)
    scores = open_set_scores(sample.logits[run])
    if inside.all() or not inside.any():
        side = "outside the taxonomy" if len(inside) and inside.all() else "of a scored view"
        nothing = not_estimable(f"no test frame {side} here")
        empty = OpenSetScore(auroc=nothing, aupr=nothing, fpr95=nothing)
        return OpenSet(auroc=nothing, scores=dict.fromkeys(scores, empty), outside=sample.outside)
    names, cluster = np.unique(sample.cluster, return_inverse=True)
    weights = cluster_weights(len(names), setting.replicates, setting.seed, sample.site, "open set")
    holders = min(len(np.unique(cluster[inside == side])) for side in (0, 1))
    blocked = None if holders > 1 else f"one side comes from only one {setting.unit}; an interval needs two"
    found = {}
    for name, values in scores.items():
        measured = resample_ranking(values, inside, cluster, weights, MEASURES, bca=setting.bca)
        found[name] = OpenSetScore(
            **{
                measure: make_estimate(value, draws, n=len(inside), clusters=len(names), why_not_estimable=blocked)
                for measure, (value, draws) in measured.items()
            }
        )
    return OpenSet(auroc=found["max_probability"].auroc, scores=found, outside=sample.outside)
