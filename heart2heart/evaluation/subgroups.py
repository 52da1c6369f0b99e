"""Accuracy in subgroups of the test frames (manufacturer, mode, quality, sex, age) and on altered frames.

The stress test is the accuracy under acoustic perturbations, by kind and level, with the mean loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, contrast_estimate
from heart2heart.evaluation.fairness import LevelDifference, site_differences
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.evaluation.samples import AlteredFrames, SiteSample
from heart2heart.evaluation.sites import EvaluationContext, ScoredSite, aggregate
from heart2heart.schema.site_metrics import Estimate, Probe, Stratum, StressCurve, StressPoint


def factor_levels(samples: Sequence[SiteSample]) -> dict[str, list[str]]:
    """Return the levels of each factor among the scored frames of all sites, without factors of a single level."""
    levels_by_factor: dict[str, set[str]] = {}
    for sample in samples:
        for factor, levels in sample.factors.items():
            levels_by_factor.setdefault(factor, set()).update(np.unique(levels[sample.scored]).tolist())
    return {factor: sorted(levels) for factor, levels in levels_by_factor.items() if len(levels) > 1}


def score_strata(
    site: ScoredSite, run: int, levels: Mapping[str, Sequence[str]], context: EvaluationContext
) -> tuple[Stratum, ...]:
    """Compute balanced accuracy in every subgroup of the site, and its difference from the other frames of the site.

    Args:
        site: The site.
        run: Position of the run.
        levels: From `factor_levels`.
        context: Class names, and the subgroup differences that are judged together.
    """
    strata = []
    logits = site.sample.logits[run, site.sample.scored]
    differences = {(factor, name): each for factor, name, each in site_differences(site, run, levels)}
    for factor, names in levels.items():
        frame_levels = site.sample.factors[factor][site.sample.scored]
        for name in names:
            in_level = frame_levels == name
            if not in_level.any():
                continue
            part = aggregate(
                logits[None, in_level],
                site.truth[in_level],
                site.cluster[in_level],
                site.frames.weights,
                site.info.site,
            )
            present = [int(label) for label in np.flatnonzero(part.view_counts)]
            value = contrast_estimate(
                part.mean_sensitivity([0], present),
                n=int(in_level.sum()),
                clusters=len(np.unique(site.cluster[in_level])),
                rarest=part.rarest(present),
                why_not_estimable=context.why_not_estimable(part, present),
            )
            views = tuple(context.classes[label] for label in present)
            own, joint = _difference_estimates(differences.get((factor, name)), context)
            strata.append(
                Stratum(
                    factor=factor, level=name, views=views, balanced_accuracy=value, difference=own, simultaneous=joint
                )
            )
    return tuple(strata)


def _difference_estimates(
    difference: LevelDifference | None, context: EvaluationContext
) -> tuple[Estimate | None, Estimate | None]:
    """Return a difference with its own interval, and with one that holds together with those of all subgroups."""
    if difference is None:
        return None, None
    own, joint = (
        contrast_estimate(
            difference.contrast,
            n=difference.n,
            clusters=difference.clusters,
            rarest=difference.rarest,
            confidence=confidence,
        )
        for confidence in (CONFIDENCE, context.subgroups.each)
    )
    return own, joint


@dataclass(frozen=True)
class AlteredScore:
    """Balanced accuracy of one run on altered frames of a site, beside that of their originals.

    Attributes:
        balanced_accuracy: Of the altered frames, over the views present among them.
        change: That minus the balanced accuracy of the originals, paired by cluster.
        contrast: The change as a contrast.
        views: Number of views present.
    """

    balanced_accuracy: Estimate
    change: Estimate
    contrast: Contrast
    views: int


def score_altered(site: ScoredSite, run: int, altered: AlteredFrames, context: EvaluationContext) -> AlteredScore:
    """Compare one run's predictions of altered frames with those of their originals.

    Args:
        site: The site.
        run: Position of the run.
        altered: The altered frames; their originals are scored frames of the site.
        context: Class names and kind of interval.
    """
    sample = site.sample
    position = np.full(len(sample.truth), -1)
    position[sample.scored] = np.arange(len(site.truth))
    rows = position[np.searchsorted(sample.frame, altered.frame)]
    truth, cluster = site.truth[rows], site.cluster[rows]
    logits = np.stack([altered.logits[run], sample.logits[run, sample.scored][rows]])
    level = aggregate(logits, truth, cluster, site.frames.weights, site.info.site)
    present = [int(label) for label in np.flatnonzero(level.view_counts)]
    accuracy, original = (level.mean_sensitivity([row], present) for row in (0, 1))
    change = combine_contrasts([accuracy, original], [1, -1])
    reason, clusters = context.why_not_estimable(level, present), len(np.unique(cluster))
    estimates = [
        contrast_estimate(each, n=len(rows), clusters=clusters, rarest=level.rarest(present), why_not_estimable=reason)
        for each in (accuracy, change)
    ]
    return AlteredScore(estimates[0], estimates[1], change, len(present))


def score_probes(site: ScoredSite, run: int, context: EvaluationContext) -> tuple[Probe, ...]:
    """Compute balanced accuracy of one run on every kind of altered frames, and its change from the originals."""
    probes = []
    for alteration, altered in site.sample.altered.items():
        score = score_altered(site, run, altered, context)
        probes.append(
            Probe(
                alteration=alteration,
                balanced_accuracy=score.balanced_accuracy,
                change=score.change,
                chance=1 / score.views,
            )
        )
    return tuple(probes)


ALL_KINDS = "all"
"""Name of the curve that is the mean over the kinds."""


def score_stress(site: ScoredSite, run: int, context: EvaluationContext) -> tuple[StressCurve, ...]:
    """Compute balanced accuracy of one run on perturbed frames, and the mean loss over the levels of each kind.

    The loss of a kind is the area between the unperturbed accuracy and the curve over levels 0 to 1, by the trapezoidal
    rule; beyond the highest level that was predicted the curve is taken as constant. The loss over all kinds is their
    unweighted mean.

    Args:
        site: The site.
        run: Position of the run.
        context: Class names and kind of interval.

    Returns:
        One curve a kind, then `all`; empty without perturbed frames.
    """
    curves = []
    losses: list[Contrast] = []
    for kind in sorted({kind for kind, _ in site.sample.perturbed}):
        curve, loss = _score_kind(site, run, kind, context)
        curves.append(curve)
        losses.append(loss)
    if not curves:
        return ()
    estimate = contrast_estimate(
        combine_contrasts(losses, [1 / len(losses)] * len(losses)),
        n=max(curve.loss.n for curve in curves),
        clusters=max(curve.loss.clusters for curve in curves),
        rarest=min(curve.loss.rarest or 0 for curve in curves),
        why_not_estimable=next((curve.loss.reason for curve in curves if curve.loss.low is None), None),
    )
    return (*curves, StressCurve(perturbation=ALL_KINDS, points=(), loss=estimate))


def trapezoid_weights(levels: Sequence[float]) -> list[float]:
    """Return the weight of each level in the mean over 0 to 1 of a curve that is 0 at level 0.

    Args:
        levels: Ascending, above 0, at most 1.

    Returns:
        Weights of the trapezoidal rule; the last level also counts for the rest up to 1.

    Examples:
        >>> trapezoid_weights([0.5, 1.0])
        [0.5, 0.25]
    """
    ends = np.array([0.0, *levels])
    steps = np.diff(ends)
    weights = (steps + np.append(steps[1:], 0.0)) / 2
    weights[-1] += 1 - ends[-1]
    return [float(weight) for weight in weights]


def _score_kind(site: ScoredSite, run: int, kind: str, context: EvaluationContext) -> tuple[StressCurve, Contrast]:
    """Return the curve of one kind, and its loss as a contrast."""
    levels = [level for name, level in site.sample.perturbed if name == kind]
    scores = [score_altered(site, run, site.sample.perturbed[kind, level], context) for level in levels]
    points = tuple(
        StressPoint(level=level, balanced_accuracy=score.balanced_accuracy, change=score.change)
        for level, score in zip(levels, scores, strict=True)
    )
    weights = [-weight for weight in trapezoid_weights(levels)]
    area = combine_contrasts([score.contrast for score in scores], weights)
    last = scores[-1].change
    reason = last.reason if last.low is None else None
    loss = contrast_estimate(area, n=last.n, clusters=last.clusters, rarest=last.rarest, why_not_estimable=reason)
    return StressCurve(perturbation=kind, points=points, loss=loss), area
