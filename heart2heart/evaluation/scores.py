"""All statistics of one run at one site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.aggregation import Aggregation, EvaluationContext
from heart2heart.evaluation.calibration import calibrate, reliability_diagram
from heart2heart.evaluation.classification import Floats, macro_f1, positive_predictive_value
from heart2heart.evaluation.confidence import score_open_set, score_selective
from heart2heart.evaluation.intervals import make_estimate, not_estimable, resample
from heart2heart.evaluation.label_shift import score_shift
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.ranking import auroc, resample_ranking
from heart2heart.evaluation.samples import SiteSample
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.evaluation.subgroups import score_probes, score_strata
from heart2heart.schema.site_metrics import Estimate, SiteMetrics


@dataclass(frozen=True)
class FittedOnValidation:
    """What source validation frames gave one run; None throughout without such frames.

    Attributes:
        temperature: Divides the logits.
        threshold: Confidence below which a frame is held back.
        shares: Share of each class `(classes,)`.
        rates: Mean scaled probabilities by true class `(classes, classes)`; NaN where a class has no frame.
    """

    temperature: float | None
    threshold: float | None
    shares: Floats | None
    rates: Floats | None


def score_site(
    site: ScoredSite,
    run: int,
    setting: EvaluationContext,
    fitted: FittedOnValidation,
    levels: Mapping[str, Sequence[str]],
) -> SiteMetrics:
    """Compute every statistic of run number `run` at one site; `levels` are those of the strata."""
    log_p = log_probabilities(site.sample.logits[run, site.sample.scored])
    scaled = None
    if fitted.temperature is not None:
        scaled = log_probabilities(site.sample.logits[run, site.sample.scored], fitted.temperature)
    confusion = site.frames.confusion[run]
    draws = resample(site.frames.weights, confusion, lambda sums: macro_f1(sums, site.present), bca=setting.bca)
    return SiteMetrics(
        site=site.info.site,
        balanced_accuracy=_mean_sensitivity(site.frames, run, site.present, setting),
        balanced_accuracy_common=_mean_sensitivity(site.frames, run, setting.common, setting),
        clip_balanced_accuracy=_mean_sensitivity(site.clips, run, site.present, setting),
        study_balanced_accuracy=_mean_sensitivity(site.studies, run, site.present, setting),
        macro_f1=make_estimate(
            float(macro_f1(confusion.sum(0), site.present)),
            draws,
            n=len(site.truth),
            clusters=site.clusters,
            why_not_estimable=setting.why_not_estimable(site.frames, site.present),
        ),
        sensitivity={
            name: _sensitivity(site.frames, run, label, setting) for label, name in enumerate(setting.classes)
        },
        ppv={name: _ppv(site.frames, run, label, setting) for label, name in enumerate(setting.classes)},
        auroc={name: _auroc(site, log_p, label, setting) for label, name in enumerate(setting.classes)},
        confusion=_as_counts(confusion.sum(0)),
        clip_confusion=_as_counts(site.clips.confusion[run].sum(0)),
        calibration=calibrate(site, log_p, setting),
        calibration_scaled=None if scaled is None else calibrate(site, scaled, setting),
        reliability=reliability_diagram(site, log_p),
        reliability_scaled=() if scaled is None else reliability_diagram(site, scaled),
        selective=score_selective(site, log_p, fitted.threshold, setting),
        open_set=score_open_set(site.sample, run, setting),
        label_shift=None if scaled is None else score_shift(site, scaled, fitted.shares, fitted.rates, setting.classes),
        strata=score_strata(site, log_p, levels, setting),
        probes=score_probes(site, run, setting),
    )


def empty_site(sample: SiteSample, run: int, setting: EvaluationContext, reason: str) -> SiteMetrics:
    """Return the statistics of a site without a scored frame: all not estimable, for `reason`."""
    size = len(setting.classes)
    zeros = ((0,) * size,) * size
    nothing = not_estimable(reason)
    by_view = dict.fromkeys(setting.classes, nothing)
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
        open_set=score_open_set(sample, run, setting),
        label_shift=None,
        strata=(),
        probes=(),
    )


def _mean_sensitivity(level: Aggregation, run: int, labels: Sequence[int], setting: EvaluationContext) -> Estimate:
    chosen = list(labels)
    by_cluster = level.confusion[run][:, chosen].sum((1, 2))
    n, holders, blocked = int(by_cluster.sum()), int((by_cluster > 0).sum()), setting.why_not_estimable(level, labels)
    if not chosen:
        return not_estimable("no view is present at every site", n=n, clusters=holders)
    draws = level.draws[run].mean_over(chosen)
    return make_estimate(
        float(level.point[run, chosen].mean()), draws, n=n, clusters=holders, why_not_estimable=blocked
    )


def _sensitivity(level: Aggregation, run: int, label: int, setting: EvaluationContext) -> Estimate:
    n, holders = int(level.view_counts[label]), int(level.view_clusters[label])
    if not n:
        return not_estimable(f"no frame of {setting.classes[label]} here")
    draws = level.draws[run].for_class(label)
    return make_estimate(
        float(level.point[run, label]),
        draws,
        n=n,
        clusters=holders,
        why_not_estimable=setting.why_not_estimable(level, [label]),
    )


def _ppv(level: Aggregation, run: int, label: int, setting: EvaluationContext) -> Estimate:
    called, name = level.confusion[run].sum(1)[:, label], setting.classes[label]
    n, holders = int(called.sum()), int((called > 0).sum())
    if not n:
        return not_estimable(f"no frame is called {name} here")
    if not level.view_counts[label]:  # it would be 0 by the hospital's case mix, whatever the model does
        return not_estimable(f"no frame of {name} here", n=n, clusters=holders)
    blocked = None if holders > 1 else f"frames of only one {setting.unit} are called so; an interval needs two"
    draws = resample(
        level.weights,
        level.confusion[run],
        lambda sums: positive_predictive_value(sums)[:, label],
        bca=setting.bca,
    )
    value = float(positive_predictive_value(level.confusion[run].sum(0))[label])
    return make_estimate(value, draws, n=n, clusters=holders, why_not_estimable=blocked)


def _auroc(site: ScoredSite, log_p: Floats, label: int, setting: EvaluationContext) -> Estimate:
    """Estimate the AUROC of one class against the rest, by its probability."""
    mine, name = (site.truth == label).astype(np.int64), setting.classes[label]
    n = len(mine)
    if not mine.any() or mine.all():
        side = f"no frame of {name} here" if not mine.any() else f"no frame of a view other than {name} here"
        return not_estimable(side, n=n, clusters=site.clusters)
    weights = site.frames.weights
    value, draws = resample_ranking(log_p[:, label], mine, site.cluster, weights, {"": auroc}, bca=setting.bca)[""]
    holders = min(len(np.unique(site.cluster[mine == side])) for side in (0, 1))
    blocked = None if holders > 1 else f"one side comes from only one {setting.unit}; an interval needs two"
    return make_estimate(value, draws, n=n, clusters=site.clusters, why_not_estimable=blocked)


def _as_counts(matrix: Floats) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(round(float(cell)) for cell in row) for row in matrix)
