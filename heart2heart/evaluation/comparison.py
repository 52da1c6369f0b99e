"""Summarises each method (runs with different seeds) over the sites, and compares methods in pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, contrast_estimate
from heart2heart.evaluation.cross_site import random_effects, worst_cell
from heart2heart.evaluation.intervals import CONFIDENCE, holm, not_estimable
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.scored_sites import ScoredHospital, ScoredLevel
from heart2heart.evaluation.sites import EvaluationContext
from heart2heart.schema.metrics import (
    Comparison,
    Generalisation,
    MethodMetrics,
    MethodSite,
    RandomEffects,
    SeedSpread,
    SiteDifference,
    SiteGap,
)
from heart2heart.schema.metrics_files import FoldMethod
from heart2heart.schema.site_metrics import Estimate

NO_SCORED_FRAME = "no test frame of a scored view at this hospital"


def seed_spread(values: Sequence[float]) -> SeedSpread:
    """Compute the spread of one statistic over the seeds; `values` contains no NaN."""
    if not values:
        return SeedSpread(n=0, standard_deviation=None, low=None, high=None)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return SeedSpread(n=len(values), standard_deviation=deviation, low=min(values), high=max(values))


def spread_within_splits(points: Sequence[Floats]) -> SeedSpread:
    """Compute the spread over seeds within a split, pooled over the splits."""
    deviations = np.concatenate([values - values.mean() for values in points])
    degrees_of_freedom = len(deviations) - len(points)
    standard_deviation = float(np.sqrt((deviations**2).sum() / degrees_of_freedom)) if degrees_of_freedom else None
    return SeedSpread(
        n=len(deviations),
        standard_deviation=standard_deviation,
        low=float(deviations.min()),
        high=float(deviations.max()),
    )


def mean_over_views(level: ScoredLevel, runs: Sequence[int], labels: Sequence[int]) -> tuple[Floats, Contrast]:
    """Return balanced accuracy over `labels`: of each run `(runs,)`, and the mean over runs."""
    points: Floats = level.point[list(runs)][:, list(labels)].mean(1)
    return points, level.mean_sensitivity(runs, labels)


def summarise(
    method: RunGroup, names: Sequence[str], sites: Sequence[ScoredHospital | None], context: EvaluationContext
) -> MethodMetrics:
    """Summarise a method at each site and over the held-out sites; an item of `sites` is None without scored frames."""
    rows = []
    for name, site in zip(names, sites, strict=True):
        if site is None:
            rows.append(MethodSite(site=name, balanced_accuracy=not_estimable(NO_SCORED_FRAME), seeds=seed_spread([])))
            continue
        points, accuracy = mean_over_views(site.frames, method.runs, site.present)
        reason = context.why_not_estimable(site.frames, site.present)
        value = contrast_estimate(
            accuracy,
            n=site.rows,
            clusters=site.clusters,
            rarest=site.frames.rarest(site.present),
            why_not_estimable=reason,
        )
        rows.append(
            MethodSite(site=name, balanced_accuracy=value, seeds=seed_spread(points[~np.isnan(points)].tolist()))
        )
    scored = [site for site in sites if site is not None]
    return MethodMetrics(
        method=method.label,
        runs=method.names,
        sites=tuple(rows),
        generalisation=_generalise(method, scored, context),
    )


def _generalise(method: RunGroup, sites: Sequence[ScoredHospital], context: EvaluationContext) -> Generalisation:
    held_out = [site for site in sites if site.held_out]
    source = [site for site in sites if not site.held_out]
    means = {site.name: float(mean_over_views(site.frames, method.runs, site.present)[0].mean()) for site in held_out}
    means = {name: value for name, value in means.items() if not np.isnan(value)}  # NaN: hidden
    worst = min(means, key=means.__getitem__) if means else None
    return Generalisation(
        gaps=tuple(_site_gap(method, source, site, context) for site in held_out),
        mean=_unweighted_mean(method, held_out, context),
        lowest=min(means.values()) if means else None,
        highest=max(means.values()) if means else None,
        worst_site=worst,
        worst_cell=worst_cell(method.runs, held_out, context),
        random_effects=_random_effects(method, held_out, context),
    )


def _random_effects(method: RunGroup, sites: Sequence[ScoredHospital], context: EvaluationContext) -> RandomEffects:
    usable = [site for site in sites if context.why_not_estimable(site.frames, site.present) is None]
    site_means = [mean_over_views(site.frames, method.runs, site.present) for site in usable]
    values = np.array([points.mean() for points, _ in site_means])
    return random_effects(values, np.array([accuracy.variance for _, accuracy in site_means]))


def _unweighted_mean(method: RunGroup, sites: Sequence[ScoredHospital], context: EvaluationContext) -> Estimate:
    if not sites:
        return not_estimable("no held-out site has scored frames")
    site_means = [mean_over_views(site.frames, method.runs, site.present) for site in sites]
    reasons = [context.why_not_estimable(site.frames, site.present) for site in sites]
    return contrast_estimate(
        combine_contrasts([accuracy for _, accuracy in site_means], [1 / len(site_means)] * len(site_means)),
        n=sum(site.rows for site in sites),
        clusters=sum(site.clusters for site in sites),
        rarest=min(site.frames.rarest(site.present) for site in sites),
        why_not_estimable=next(
            (f"{site.name}: {reason}" for site, reason in zip(sites, reasons, strict=True) if reason), None
        ),
    )


def gap_contrast(
    method: RunGroup, source: Sequence[ScoredHospital], target: ScoredHospital
) -> tuple[list[int], Contrast | None]:
    """Return the loss from the source to a site, and the classes that all of them have.

    A class that is missing at the site therefore does not count as a loss. The contrast is None without such a class.
    """
    shared = [label for label in target.present if all(label in site.present for site in source)]
    if not source or not shared:
        return shared, None
    accuracies = [site.frames.mean_sensitivity(method.runs, shared) for site in (*source, target)]
    return shared, combine_contrasts(accuracies, [*([1 / len(source)] * len(source)), -1.0])


def _site_gap(
    method: RunGroup, source: Sequence[ScoredHospital], target: ScoredHospital, context: EvaluationContext
) -> SiteGap:
    shared, contrast = gap_contrast(method, source, target)
    views = tuple(context.classes[label] for label in shared)
    n, clusters = target.rows, target.clusters
    if contrast is None:
        reason = "no test frames at the source" if not source else "no view in common with the source"
        return SiteGap(site=target.name, views=views, gap=not_estimable(reason, n=n, clusters=clusters))
    reasons = [context.why_not_estimable(site.frames, shared) for site in (*source, target)]
    gap, simultaneous = (
        contrast_estimate(
            contrast,
            n=n,
            clusters=clusters,
            rarest=min(site.frames.rarest(shared) for site in (*source, target)),
            why_not_estimable=next((reason for reason in reasons if reason), None),
            confidence=confidence,
        )
        for confidence in (CONFIDENCE, context.family.each)
    )
    return SiteGap(
        site=target.name, views=views, gap=gap, simultaneous=simultaneous, margin=context.judge_loss(simultaneous)
    )


def difference_contrast(reference: RunGroup, candidate: RunGroup, site: ScoredHospital) -> Contrast:
    """Return the balanced accuracy of a candidate minus that of the reference at a site, paired by cluster."""
    accuracies = [site.frames.mean_sensitivity(method.runs, site.present) for method in (candidate, reference)]
    return combine_contrasts(accuracies, [1.0, -1.0])


def claims_of(
    methods: Sequence[RunGroup], sites: Sequence[ScoredHospital | None], context: EvaluationContext
) -> list[Contrast]:
    """Return every loss and every difference that the report judges and that has an interval."""
    claims = []
    for method in methods:
        claims += loss_claims(method, sites, context)
    for candidate in methods[1:]:
        claims += difference_claims(methods[0], candidate, sites, context)
    return claims


def loss_claims(method: RunGroup, sites: Sequence[ScoredHospital | None], context: EvaluationContext) -> list[Contrast]:
    """Return every loss of a method from the source to a held-out site that has an interval."""
    scored = [site for site in sites if site is not None]
    source, claims = [site for site in scored if not site.held_out], []
    for site in scored:
        shared, contrast = gap_contrast(method, source, site) if site.held_out else ([], None)
        if contrast and all(context.why_not_estimable(each.frames, shared) is None for each in (*source, site)):
            claims.append(contrast)
    return claims


def difference_claims(
    reference: RunGroup, candidate: RunGroup, sites: Sequence[ScoredHospital | None], context: EvaluationContext
) -> list[Contrast]:
    """Return every difference of two methods at a site that has an interval."""
    return [
        difference_contrast(reference, candidate, site)
        for site in sites
        if site is not None and why_not_compared(site, context) is None
    ]


def why_not_compared(site: ScoredHospital, context: EvaluationContext) -> str | None:
    """Return why the difference of two methods at a site has no interval; None when it has one."""
    return context.why_not_estimable(site.frames, site.present) or site.frames.why_not_paired(site.present)


def compare(
    reference: RunGroup,
    candidate: RunGroup,
    names: Sequence[str],
    sites: Sequence[ScoredHospital | None],
    context: EvaluationContext,
) -> Comparison:
    """Compare two methods at each site on the same clusters; p-values are corrected over the sites (Holm)."""
    rows: list[SiteDifference] = []
    for name, site in zip(names, sites, strict=True):
        if site is None:
            empty = not_estimable(NO_SCORED_FRAME)
            rows.append(SiteDifference(site=name, difference=empty, p=None, p_holm=None, seeds=seed_spread([])))
            continue
        points = [site.frames.point[list(method.runs)][:, site.present].mean(1) for method in (candidate, reference)]
        by_seed = dict(zip(reference.seeds, points[1].tolist(), strict=True))
        seed_differences = [
            value - by_seed[seed]
            for seed, value in zip(candidate.seeds, points[0].tolist(), strict=True)
            if seed in by_seed and not np.isnan(value - by_seed[seed])
        ]
        contrast = difference_contrast(reference, candidate, site)
        reason = why_not_compared(site, context)
        difference, simultaneous = (
            contrast_estimate(
                contrast,
                n=site.rows,
                clusters=site.clusters,
                rarest=site.frames.rarest(site.present),
                why_not_estimable=reason,
                confidence=confidence,
            )
            for confidence in (CONFIDENCE, context.family.each)
        )
        p = contrast.p_value() if reason is None else None
        rows.append(
            SiteDifference(
                site=name,
                difference=difference,
                simultaneous=simultaneous,
                margin=context.judge_loss(simultaneous, sign=-1.0),
                p=p,
                p_holm=None,
                p_joint=None if p is None else context.family.adjust(p),
                seeds=seed_spread(seed_differences),
            )
        )
    tested = [row for row in rows if row.p is not None]
    adjusted = dict(zip([row.site for row in tested], holm([row.p or 0.0 for row in tested]), strict=True))
    corrected = tuple(row.model_copy(update={"p_holm": adjusted.get(row.site)}) for row in rows)
    return Comparison(reference=reference.label, candidate=candidate.label, sites=corrected)


def comparison_pairs(methods: Sequence[FoldMethod]) -> list[tuple[str, str]]:
    """Return the pairs of methods to compare, each as reference and candidate.

    The pairs are: the first method and every other; a method and the one that it extends (`VAT` and
    `VAT + Fix-A-Step`); and the two methods with the highest means over the held-out hospitals, if such means exist.
    """
    labels = [method.method for method in methods]
    extends = {method.method: method.extends for method in methods}
    pairs = [(labels[0], label) for label in labels[1:]]
    pairs += [(base, label) for label in labels for base in labels if base == extends.get(label)]
    means = {method.method: method.held_out.value for method in methods if method.held_out.value is not None}
    if len(means) > 1:
        best, second = sorted(means, key=lambda label: -means[label])[:2]
        if (best, second) not in pairs:
            pairs.append((second, best))
    return list(dict.fromkeys(pairs))
