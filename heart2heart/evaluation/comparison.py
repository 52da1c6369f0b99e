"""Summarises each method (runs with different seeds) over the sites, and compares methods in pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.cross_site import random_effects, worst_cell
from heart2heart.evaluation.intervals import (
    FEW_CLUSTERS,
    Resamples,
    bootstrap_p,
    combine_resamples,
    holm,
    make_estimate,
    not_estimable,
)
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.sites import Aggregation, EvaluationContext, ScoredSite
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


def mean_over_views(level: Aggregation, runs: Sequence[int], labels: Sequence[int]) -> tuple[Floats, Resamples]:
    """Return balanced accuracy over `labels`: of each run `(runs,)`, and the resampled mean over runs."""
    chosen = list(labels)
    points: Floats = level.point[list(runs)][:, chosen].mean(1)
    draws = [level.draws[run].mean_over(chosen) for run in runs]
    return points, combine_resamples(draws, [1 / len(runs)] * len(runs), paired=True)


def summarise(
    method: RunGroup, names: Sequence[str], sites: Sequence[ScoredSite | None], context: EvaluationContext
) -> MethodMetrics:
    """Summarise a method at each site and over the held-out sites; an item of `sites` is None without scored frames."""
    rows = []
    for name, site in zip(names, sites, strict=True):
        if site is None:
            rows.append(MethodSite(site=name, balanced_accuracy=not_estimable(NO_SCORED_FRAME), seeds=seed_spread([])))
            continue
        points, draws = mean_over_views(site.frames, method.runs, site.present)
        reason = context.why_not_estimable(site.frames, site.present)
        value = make_estimate(
            float(points.mean()), draws, n=len(site.truth), clusters=site.clusters, why_not_estimable=reason
        )
        rows.append(MethodSite(site=name, balanced_accuracy=value, seeds=seed_spread(points.tolist())))
    scored = [site for site in sites if site is not None]
    return MethodMetrics(
        method=method.label,
        runs=method.names,
        sites=tuple(rows),
        generalisation=_generalise(method, scored, context),
    )


def _generalise(method: RunGroup, sites: Sequence[ScoredSite], context: EvaluationContext) -> Generalisation:
    held_out = [site for site in sites if site.info.held_out]
    source = [site for site in sites if not site.info.held_out]
    means = {
        site.info.site: float(mean_over_views(site.frames, method.runs, site.present)[0].mean()) for site in held_out
    }
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


def _random_effects(method: RunGroup, sites: Sequence[ScoredSite], context: EvaluationContext) -> RandomEffects:
    usable = [site for site in sites if context.why_not_estimable(site.frames, site.present) is None]
    site_means = [mean_over_views(site.frames, method.runs, site.present) for site in usable]
    values = np.array([points.mean() for points, _ in site_means])
    return random_effects(values, np.array([np.nanvar(draws.replicates) for _, draws in site_means]))


def _unweighted_mean(method: RunGroup, sites: Sequence[ScoredSite], context: EvaluationContext) -> Estimate:
    if not sites:
        return not_estimable("no held-out site has scored frames")
    site_means = [mean_over_views(site.frames, method.runs, site.present) for site in sites]
    reasons = [context.why_not_estimable(site.frames, site.present) for site in sites]
    return make_estimate(
        float(np.mean([points.mean() for points, _ in site_means])),
        combine_resamples([draws for _, draws in site_means], [1 / len(site_means)] * len(site_means), paired=False),
        n=sum(len(site.truth) for site in sites),
        clusters=sum(site.clusters for site in sites),
        why_not_estimable=next(
            (f"{site.info.site}: {reason}" for site, reason in zip(sites, reasons, strict=True) if reason), None
        ),
    )


def _site_gap(
    method: RunGroup, source: Sequence[ScoredSite], target: ScoredSite, context: EvaluationContext
) -> SiteGap:
    """Compute the loss from the source to a site over the views that all of them have.

    A view that is missing at the site therefore does not count as a loss.
    """
    shared = [label for label in target.present if all(label in site.present for site in source)]
    views = tuple(context.classes[label] for label in shared)
    n, clusters = len(target.truth), target.clusters
    if not source or not shared:
        reason = "no test frames at the source" if not source else "no view in common with the source"
        return SiteGap(site=target.info.site, views=views, gap=not_estimable(reason, n=n, clusters=clusters))
    points, draws = mean_over_views(target.frames, method.runs, shared)
    sources = [mean_over_views(site.frames, method.runs, shared) for site in source]
    reasons = [context.why_not_estimable(site.frames, shared) for site in (*source, target)]
    gap = make_estimate(
        float(np.mean([source_points.mean() for source_points, _ in sources]) - points.mean()),
        combine_resamples(
            [*(source_draws for _, source_draws in sources), draws],
            [*([1 / len(sources)] * len(sources)), -1.0],
            paired=False,
        ),
        n=n,
        clusters=clusters,
        why_not_estimable=next((reason for reason in reasons if reason), None),
    )
    few = gap.few_clusters or any(site.clusters < FEW_CLUSTERS for site in source)
    return SiteGap(site=target.info.site, views=views, gap=gap.model_copy(update={"few_clusters": few}))


def compare(
    reference: RunGroup,
    candidate: RunGroup,
    names: Sequence[str],
    sites: Sequence[ScoredSite | None],
    context: EvaluationContext,
) -> Comparison:
    """Compare two methods at each site on the same resampled clusters; correct the p-values over the sites (Holm)."""
    rows, tests = [], {}
    for name, site in zip(names, sites, strict=True):
        if site is None:
            empty = not_estimable(NO_SCORED_FRAME)
            rows.append(SiteDifference(site=name, difference=empty, p=None, p_holm=None, seeds=seed_spread([])))
            continue
        candidate_values, candidate_draws = mean_over_views(site.frames, candidate.runs, site.present)
        reference_values, reference_draws = mean_over_views(site.frames, reference.runs, site.present)
        draws = combine_resamples([candidate_draws, reference_draws], [1, -1], paired=True)
        reason = context.why_not_estimable(site.frames, site.present)
        value = float(candidate_values.mean() - reference_values.mean())
        difference = make_estimate(value, draws, n=len(site.truth), clusters=site.clusters, why_not_estimable=reason)
        by_seed = dict(zip(reference.seeds, reference_values.tolist(), strict=True))
        seed_differences = [
            value - by_seed[seed]
            for seed, value in zip(candidate.seeds, candidate_values.tolist(), strict=True)
            if seed in by_seed
        ]
        if reason is None:
            tests[name] = bootstrap_p(draws.replicates)
        rows.append(
            SiteDifference(
                site=name, difference=difference, p=tests.get(name), p_holm=None, seeds=seed_spread(seed_differences)
            )
        )
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
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
