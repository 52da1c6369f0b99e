"""One run at one site: from arranged clusters to `SiteMetrics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluate.bootstrap import cluster_weights, replicate
from heart2heart.evaluate.classification import Floats, macro_f1, positive_predictive_value
from heart2heart.evaluate.estimates import estimate, missing
from heart2heart.evaluate.open_set import auroc, auroc_of_histogram, clustered_histogram
from heart2heart.evaluate.probabilities import brier_rows, classwise_ece, log_probabilities, nll_rows, reliability
from heart2heart.evaluate.samples import SiteSample
from heart2heart.evaluate.schema import Calibration, Estimate, OpenSet, ReliabilityBin, SiteMetrics
from heart2heart.evaluate.sites import Level, Site

ECE_BINS = 15
_FRAMES_A_POINT = 25  # fewer frames a point make the reliability diagram jump about


@dataclass(frozen=True)
class Setting:
    """What is the same for every site and run.

    Attributes:
        classes: Names of the classes, in the order of the logits.
        common: Classes present at every site.
        unit: What a cluster is, for the reasons.
        seed: Root seed of the bootstrap.
        replicates: Bootstrap replicates.
    """

    classes: tuple[str, ...]
    common: tuple[int, ...]
    unit: str
    seed: int
    replicates: int

    def blocked(self, level: Level, labels: Sequence[int]) -> str | None:
        """Say why a mean over the classes `labels` has no interval or no value; None when it has both."""
        if not labels:
            return "no view to average over"
        held = {label: int(level.view_clusters[label]) for label in labels}
        poorest = min(labels, key=held.__getitem__)
        if held[poorest] >= 2:
            return None
        owner = f"only one {self.unit}" if held[poorest] else f"no {self.unit}"
        return f"{self.classes[poorest]} comes from {owner}; an interval needs two"


def score_site(site: Site, run: int, setting: Setting, temperature: float | None) -> SiteMetrics:
    """Compute every statistic of run number `run` at one site; `temperature` is that run's, or None."""
    logits = site.sample.logits[run, site.sample.scored]
    log_p = log_probabilities(logits)
    scaled = None if temperature is None else log_probabilities(logits, temperature)
    confusion = site.frames.confusion[run]
    f1_replicates = replicate(site.frames.weights, confusion, lambda sums: macro_f1(sums, site.present))
    return SiteMetrics(
        site=site.info.site,
        balanced_accuracy=_mean_sensitivity(site.frames, run, site.present, setting),
        balanced_accuracy_common=_mean_sensitivity(site.frames, run, setting.common, setting),
        clip_balanced_accuracy=_mean_sensitivity(site.clips, run, site.present, setting),
        macro_f1=estimate(
            float(macro_f1(confusion.sum(0), site.present)),
            f1_replicates,
            n=len(site.truth),
            clusters=site.clusters,
            blocked=setting.blocked(site.frames, site.present),
        ),
        sensitivity={
            name: _sensitivity(site.frames, run, label, setting) for label, name in enumerate(setting.classes)
        },
        ppv={name: _ppv(site.frames, run, label, setting) for label, name in enumerate(setting.classes)},
        confusion=_whole(confusion.sum(0)),
        clip_confusion=_whole(site.clips.confusion[run].sum(0)),
        calibration=_calibration(site, log_p, setting),
        calibration_scaled=None if scaled is None else _calibration(site, scaled, setting),
        reliability=_reliability(site, log_p),
        open_set=score_open_set(site.sample, run, setting),
    )


def empty_site(sample: SiteSample, run: int, setting: Setting, reason: str) -> SiteMetrics:
    """Return the statistics of a site without a scored frame: all not estimable, for `reason`."""
    size = len(setting.classes)
    zeros = ((0,) * size,) * size
    nothing = missing(reason)
    return SiteMetrics(
        site=sample.site,
        balanced_accuracy=nothing,
        balanced_accuracy_common=nothing,
        clip_balanced_accuracy=nothing,
        macro_f1=nothing,
        sensitivity=dict.fromkeys(setting.classes, nothing),
        ppv=dict.fromkeys(setting.classes, nothing),
        confusion=zeros,
        clip_confusion=zeros,
        calibration=None,
        calibration_scaled=None,
        reliability=(),
        open_set=score_open_set(sample, run, setting),
    )


def _mean_sensitivity(level: Level, run: int, labels: Sequence[int], setting: Setting) -> Estimate:
    chosen = list(labels)
    by_cluster = level.confusion[run][:, chosen].sum((1, 2))
    n, holders, blocked = int(by_cluster.sum()), int((by_cluster > 0).sum()), setting.blocked(level, labels)
    if not chosen:
        return missing("no view is present at every site", n=n, clusters=holders)
    value, replicates = float(level.point[run, chosen].mean()), level.replicates[run][:, chosen].mean(1)
    return estimate(value, replicates, n=n, clusters=holders, blocked=blocked)


def _sensitivity(level: Level, run: int, label: int, setting: Setting) -> Estimate:
    n, holders = int(level.view_counts[label]), int(level.view_clusters[label])
    if not n:
        return missing(f"no frame of {setting.classes[label]} here")
    value, replicates = float(level.point[run, label]), level.replicates[run][:, label]
    return estimate(value, replicates, n=n, clusters=holders, blocked=setting.blocked(level, [label]))


def _ppv(level: Level, run: int, label: int, setting: Setting) -> Estimate:
    called, name = level.confusion[run].sum(1)[:, label], setting.classes[label]
    n, holders = int(called.sum()), int((called > 0).sum())
    if not n:
        return missing(f"no frame is called {name} here")
    if not level.view_counts[label]:  # it would be 0 by the hospital's case mix, whatever the model does
        return missing(f"no frame of {name} here", n=n, clusters=holders)
    blocked = None if holders > 1 else f"frames of only one {setting.unit} are called so; an interval needs two"
    replicates = replicate(level.weights, level.confusion[run], positive_predictive_value)[:, label]
    value = float(positive_predictive_value(level.confusion[run].sum(0))[label])
    return estimate(value, replicates, n=n, clusters=holders, blocked=blocked)


def _mean_of_rows(site: Site, rows: Floats, setting: Setting) -> Estimate:
    """Estimate the mean over frames of a per-frame score `(n,)`."""
    sums = np.stack([np.bincount(site.cluster, weights=rows), np.bincount(site.cluster)], axis=1).astype(np.float64)
    replicates = replicate(site.frames.weights, sums, lambda total: total[:, 0] / total[:, 1])
    blocked = None if site.clusters > 1 else f"only one {setting.unit}; an interval needs two"
    return estimate(float(rows.mean()), replicates, n=len(rows), clusters=site.clusters, blocked=blocked)


def _calibration(site: Site, log_p: Floats, setting: Setting) -> Calibration:
    return Calibration(
        nll=_mean_of_rows(site, nll_rows(log_p, site.truth), setting),
        brier=_mean_of_rows(site, brier_rows(log_p, site.truth), setting),
        ece=classwise_ece(log_p, site.truth, ECE_BINS),
    )


def _reliability(site: Site, log_p: Floats) -> tuple[ReliabilityBin, ...]:
    right = (log_p.argmax(1) == site.truth).astype(np.float64)
    number = min(ECE_BINS, max(2, len(right) // _FRAMES_A_POINT))
    bins = reliability(np.exp(log_p.max(1)), right, number)
    return tuple(
        ReliabilityBin(confidence=float(confidence), accuracy=float(accuracy), n=int(count))
        for confidence, accuracy, count in zip(bins.confidence, bins.frequency, bins.count, strict=True)
    )


def score_open_set(sample: SiteSample, run: int, setting: Setting) -> OpenSet:
    """Compare the maximum probability of frames of scored views with that of frames outside the taxonomy."""
    inside = sample.scored.astype(np.int64)
    if inside.all() or not inside.any():
        side = "outside the taxonomy" if len(inside) and inside.all() else "of a scored view"
        return OpenSet(auroc=missing(f"no test frame {side} here"), outside=sample.outside)
    scores = np.exp(log_probabilities(sample.logits[run]).max(1))
    names, cluster = np.unique(sample.cluster, return_inverse=True)
    histogram = clustered_histogram(scores, inside, cluster, len(names))
    weights = cluster_weights(len(names), setting.replicates, setting.seed, sample.site, "open set")
    enough = (histogram.sum(2) > 0).sum(0).min() > 1
    found = estimate(
        auroc(scores, inside),
        replicate(weights, histogram, auroc_of_histogram),
        n=len(inside),
        clusters=len(names),
        blocked=None if enough else f"one side comes from only one {setting.unit}; an interval needs two",
    )
    return OpenSet(auroc=found, outside=sample.outside)


def _whole(matrix: Floats) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(round(float(cell)) for cell in row) for row in matrix)
