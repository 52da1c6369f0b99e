"""All statistics of one run at one site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.classification import Floats, macro_f1
from heart2heart.evaluation.confidence import calibrate, reliability_diagram, score_open_set, score_selective
from heart2heart.evaluation.contrasts import contrast_estimate, mean_share, shares_by_cluster
from heart2heart.evaluation.intervals import make_estimate, not_estimable, resample
from heart2heart.evaluation.label_shift import ShiftReference, score_shift
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.ranking import auroc, resample_ranking
from heart2heart.evaluation.samples import SiteSample
from heart2heart.evaluation.sites import Aggregation, EvaluationContext, ScoredSite
from heart2heart.evaluation.subgroups import score_probes, score_strata, score_stress
from heart2heart.schema.site_metrics import Estimate, SiteMetrics


@dataclass(frozen=True)
class FittedOnValidation:
    """Values that one run fits on the source validation frames; all are None without such frames.

    Attributes:
        temperature: Divisor of the logits.
        threshold: A frame with a lower confidence is withheld.
        reference: Scaled probabilities by cluster and true class, for the estimate of shares.
    """

    temperature: float | None
    threshold: float | None
    reference: ShiftReference | None


def score_site(
    site: ScoredSite,
    run: int,
    context: EvaluationContext,
    fitted: FittedOnValidation,
    levels: Mapping[str, Sequence[str]],
) -> SiteMetrics:
    """Compute every statistic of one run at one site.

    Args:
        site: The site.
        run: Position of the run.
        context: Settings of the evaluation.
        fitted: Temperature, threshold and shares from the source validation frames.
        levels: From `factor_levels`.
    """
    log_p = log_probabilities(site.sample.logits[run, site.sample.scored])
    scaled = None
    if fitted.temperature is not None:
        scaled = log_probabilities(site.sample.logits[run, site.sample.scored], fitted.temperature)
    confusion = site.frames.confusion[run]
    draws = resample(site.frames.weights, confusion, lambda sums: macro_f1(sums, site.present), bca=context.bca)
    return SiteMetrics(
        site=site.info.site,
        balanced_accuracy=_mean_sensitivity(site.frames, run, site.present, context),
        balanced_accuracy_common=_mean_sensitivity(site.frames, run, context.common, context),
        clip_balanced_accuracy=_mean_sensitivity(site.clips, run, site.present, context),
        study_balanced_accuracy=_mean_sensitivity(site.studies, run, site.present, context),
        macro_f1=make_estimate(
            float(macro_f1(confusion.sum(0), site.present)),
            draws,
            n=len(site.truth),
            clusters=site.clusters,
            why_not_estimable=context.why_not_estimable(site.frames, site.present),
        ),
        sensitivity={
            name: _sensitivity(site.frames, run, label, context) for label, name in enumerate(context.classes)
        },
        ppv={name: _ppv(site.frames, run, label, context) for label, name in enumerate(context.classes)},
        auroc={name: _auroc(site, log_p, label, context) for label, name in enumerate(context.classes)},
        confusion=_as_counts(confusion.sum(0)),
        clip_confusion=_as_counts(site.clips.confusion[run].sum(0)),
        calibration=calibrate(site, log_p, context),
        calibration_scaled=None if scaled is None else calibrate(site, scaled, context),
        reliability=reliability_diagram(site, log_p),
        reliability_scaled=() if scaled is None else reliability_diagram(site, scaled),
        selective=score_selective(site, log_p, fitted.threshold, context),
        open_set=score_open_set(site.sample, run, context),
        label_shift=None if scaled is None else score_shift(site, scaled, fitted.reference, context.classes),
        strata=score_strata(site, run, levels, context),
        probes=score_probes(site, run, context),
        stress=score_stress(site, run, context),
    )


def empty_site(sample: SiteSample, run: int, context: EvaluationContext, reason: str) -> SiteMetrics:
    """Return the statistics of a site without a scored frame: none is estimable, because of `reason`."""
    size = len(context.classes)
    zeros = ((0,) * size,) * size
    nothing = not_estimable(reason)
    by_view = dict.fromkeys(context.classes, nothing)
    return SiteMetrics(
        site=sample.site,
        balanced_accuracy=nothing,
        balanced_accuracy_common=nothing,
        clip_balanced_accuracy=nothing,
        study_balanced_accuracy=nothing,
        macro_f1=nothing,
        sensitivity=by_view,
        ppv=by_view,
        auroc=by_view,
        confusion=zeros,
        clip_confusion=zeros,
        calibration=None,
        calibration_scaled=None,
        reliability=(),
        reliability_scaled=(),
        selective=None,
        open_set=score_open_set(sample, run, context),
        label_shift=None,
        strata=(),
        probes=(),
    )


def _mean_sensitivity(level: Aggregation, run: int, labels: Sequence[int], context: EvaluationContext) -> Estimate:
    chosen = list(labels)
    by_cluster = level.confusion[run][:, chosen].sum((1, 2))
    n, holders, reason = int(by_cluster.sum()), int((by_cluster > 0).sum()), context.why_not_estimable(level, labels)
    if not chosen:
        return not_estimable("no view is present at every site", n=n, clusters=holders)
    return contrast_estimate(
        level.mean_sensitivity([run], chosen),
        n=n,
        clusters=holders,
        rarest=level.rarest(chosen),
        why_not_estimable=reason,
    )


def _sensitivity(level: Aggregation, run: int, label: int, context: EvaluationContext) -> Estimate:
    n, holders = int(level.view_counts[label]), int(level.view_clusters[label])
    if not n:
        return not_estimable(f"no frame of {context.classes[label]} at this hospital")
    return contrast_estimate(
        level.mean_sensitivity([run], [label]),
        n=n,
        clusters=holders,
        why_not_estimable=context.why_not_estimable(level, [label]),
    )


def _ppv(level: Aggregation, run: int, label: int, context: EvaluationContext) -> Estimate:
    called_by_cluster, name = level.confusion[run].sum(1)[:, label], context.classes[label]
    n, holders = int(called_by_cluster.sum()), int((called_by_cluster > 0).sum())
    if not n:
        return not_estimable(f"no frame is predicted as {name} at this hospital")
    if not level.view_counts[label]:  # it would be 0 for every model
        return not_estimable(f"no frame of {name} at this hospital", n=n, clusters=holders)
    reason = (
        None if holders > 1 else f"frames of only one {context.unit} are predicted as this view; an interval needs two"
    )
    correct = level.confusion[run][:, label, label]
    shares = shares_by_cluster(correct[:, None], called_by_cluster[:, None], level.sample)
    return contrast_estimate(mean_share(shares, [0]), n=n, clusters=holders, why_not_estimable=reason)


def _auroc(site: ScoredSite, log_p: Floats, label: int, context: EvaluationContext) -> Estimate:
    """Estimate the AUROC of one class against the rest, by its probability."""
    positive, name = (site.truth == label).astype(np.int64), context.classes[label]
    n = len(positive)
    if not positive.any() or positive.all():
        absent = name if not positive.any() else f"a view other than {name}"
        return not_estimable(f"no frame of {absent} at this hospital", n=n, clusters=site.clusters)
    weights = site.frames.weights
    value, draws = resample_ranking(log_p[:, label], positive, site.cluster, weights, {"": auroc}, bca=context.bca)[""]
    holders = min(len(np.unique(site.cluster[positive == side])) for side in (0, 1))
    reason = None if holders > 1 else f"one of the two groups comes from only one {context.unit}; an interval needs two"
    return make_estimate(value, draws, n=n, clusters=site.clusters, why_not_estimable=reason)


def _as_counts(matrix: Floats) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(round(float(cell)) for cell in row) for row in matrix)
