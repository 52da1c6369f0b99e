"""Summarises groups of runs over sites, and compares them in pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.aggregation import Aggregation, EvaluationContext
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
from heart2heart.evaluation.sites import ScoredSite
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
from heart2heart.schema.site_metrics import Estimate

NO_SCORED_FRAME = "no test frame of a scored view here"


def seed_spread(values: Sequence[float]) -> SeedSpread:
    """Describe the spread of one statistic over the seeds; values are never NaN."""
    if not values:
        return SeedSpread(n=0, standard_deviation=None, low=None, high=None)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return SeedSpread(n=len(values), standard_deviation=deviation, low=min(values), high=max(values))


def mean_over_views(level: Aggregation, runs: Sequence[int], labels: Sequence[int]) -> tuple[Floats, Resamples]:
    """Balanced accuracy over `labels`: of each run `(runs,)`, and the draws of their mean `(replicates,)`."""
    chosen = list(labels)
    points: Floats = level.point[list(runs)][:, chosen].mean(1)
    draws = [level.draws[run].mean_over(chosen) for run in runs]
    return points, combine_resamples(draws, [1 / len(runs)] * len(runs), paired=True)


def summarise(
    method: RunGroup, names: Sequence[str], sites: Sequence[ScoredSite | None], setting: EvaluationContext
) -> MethodMetrics:
    """Summarise a method at each site and over the held-out ones; `sites` holds None where nothing is scored."""
    rows = []
    for name, site in zip(names, sites, strict=True):
        if site is None:
            rows.append(MethodSite(site=name, balanced_accuracy=not_estimable(NO_SCORED_FRAME), seeds=seed_spread([])))
            continue
        points, draws = mean_over_views(site.frames, method.runs, site.present)
        blocked = setting.why_not_estimable(site.frames, site.present)
        value = make_estimate(
            float(points.mean()), draws, n=len(site.truth), clusters=site.clusters, why_not_estimable=blocked
        )
        rows.append(MethodSite(site=name, balanced_accuracy=value, seeds=seed_spread(points.tolist())))
    scored = [site for site in sites if site is not None]
    return MethodMetrics(
        method=method.label,
        runs=method.names,
        sites=tuple(rows),
        generalisation=_generalise(method, scored, setting),
    )


def _generalise(method: RunGroup, sites: Sequence[ScoredSite], setting: EvaluationContext) -> Generalisation:
    held_out = [site for site in sites if site.info.held_out]
    source = [site for site in sites if not site.info.held_out]
    means = {
        site.info.site: float(mean_over_views(site.frames, method.runs, site.present)[0].mean()) for site in held_out
    }
    worst = min(means, key=means.__getitem__) if means else None
    return Generalisation(
        gaps=tuple(_gap(method, source, site, setting) for site in held_out),
        mean=_unweighted_mean(method, held_out, setting),
        lowest=min(means.values()) if means else None,
        highest=max(means.values()) if means else None,
        worst_site=worst,
        worst_cell=worst_cell(method.runs, held_out, setting),
        random_effects=_between_sites(method, held_out, setting),
    )


def _between_sites(method: RunGroup, sites: Sequence[ScoredSite], setting: EvaluationContext) -> RandomEffects:
    usable = [site for site in sites if setting.why_not_estimable(site.frames, site.present) is None]
    found = [mean_over_views(site.frames, method.runs, site.present) for site in usable]
    values = np.array([points.mean() for points, _ in found])
    return random_effects(values, np.array([np.nanvar(draws.replicates) for _, draws in found]))


def _unweighted_mean(method: RunGroup, sites: Sequence[ScoredSite], setting: EvaluationContext) -> Estimate:
    if not sites:
        return not_estimable("no held-out site has scored frames")
    parts = [mean_over_views(site.frames, method.runs, site.present) for site in sites]
    reasons = [setting.why_not_estimable(site.frames, site.present) for site in sites]
    return make_estimate(
        float(np.mean([points.mean() for points, _ in parts])),
        combine_resamples([draws for _, draws in parts], [1 / len(parts)] * len(parts), paired=False),
        n=sum(len(site.truth) for site in sites),
        clusters=sum(site.clusters for site in sites),
        why_not_estimable=next(
            (f"{site.info.site}: {why}" for site, why in zip(sites, reasons, strict=True) if why), None
        ),
    )


def _gap(method: RunGroup, source: Sequence[ScoredSite], target: ScoredSite, setting: EvaluationContext) -> SiteGap:
    """Take the gap over the views that the target and every source site have, so that a missing view is no gap."""
    shared = [label for label in target.present if all(label in site.present for site in source)]
    views = tuple(setting.classes[label] for label in shared)
    n, clusters = len(target.truth), target.clusters
    if not source or not shared:
        reason = "no test frames at the source" if not source else "no view in common with the source"
        return SiteGap(site=target.info.site, views=views, gap=not_estimable(reason, n=n, clusters=clusters))
    points, draws = mean_over_views(target.frames, method.runs, shared)
    sources = [mean_over_views(site.frames, method.runs, shared) for site in source]
    reasons = [setting.why_not_estimable(site.frames, shared) for site in (*source, target)]
    gap = make_estimate(
        float(np.mean([mine.mean() for mine, _ in sources]) - points.mean()),
        combine_resamples(
            [*(mine for _, mine in sources), draws], [*([1 / len(sources)] * len(sources)), -1.0], paired=False
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
    setting: EvaluationContext,
) -> Comparison:
    """Compare two methods at each site with the same cluster weights for both, and correct over the sites (Holm)."""
    rows, tests = [], {}
    for name, site in zip(names, sites, strict=True):
        if site is None:
            empty = not_estimable(NO_SCORED_FRAME)
            rows.append(SiteDifference(site=name, difference=empty, p=None, p_holm=None, seeds=seed_spread([])))
            continue
        ours, our_draws = mean_over_views(site.frames, candidate.runs, site.present)
        theirs, their_draws = mean_over_views(site.frames, reference.runs, site.present)
        draws = combine_resamples([our_draws, their_draws], [1, -1], paired=True)
        blocked = setting.why_not_estimable(site.frames, site.present)
        value = float(ours.mean() - theirs.mean())
        difference = make_estimate(value, draws, n=len(site.truth), clusters=site.clusters, why_not_estimable=blocked)
        by_seed = dict(zip(reference.seeds, theirs.tolist(), strict=True))
        paired = [
            value - by_seed[seed] for seed, value in zip(candidate.seeds, ours.tolist(), strict=True) if seed in by_seed
        ]
        if blocked is None:
            tests[name] = bootstrap_p(draws.replicates)
        rows.append(
            SiteDifference(site=name, difference=difference, p=tests.get(name), p_holm=None, seeds=seed_spread(paired))
        )
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    corrected = tuple(row.model_copy(update={"p_holm": adjusted.get(row.site)}) for row in rows)
    return Comparison(reference=reference.label, candidate=candidate.label, sites=corrected)
