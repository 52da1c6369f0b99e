"""Accuracy on parts of the test frames (manufacturer, mode, quality, sex, age) and on altered frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from heart2heart.evaluation.aggregation import EvaluationContext, aggregate
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.intervals import combine_resamples, make_estimate
from heart2heart.evaluation.samples import SiteSample
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import Probe, Stratum


def factor_levels(samples: Sequence[SiteSample]) -> dict[str, list[str]]:
    """Return the levels of each factor over the scored frames of all sites; a factor of one level is left out."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        for factor, levels in sample.factors.items():
            found.setdefault(factor, set()).update(np.unique(levels[sample.scored]).tolist())
    return {factor: sorted(levels) for factor, levels in found.items() if len(levels) > 1}


def score_strata(
    site: ScoredSite, log_p: Floats, levels: Mapping[str, Sequence[str]], setting: EvaluationContext
) -> tuple[Stratum, ...]:
    """Score every level that occurs at the site, with the cluster weights of the site.

    Args:
        site: The site.
        log_p: `(n, classes)` of the scored frames.
        levels: From `factor_levels`.
        setting: Names and intervals.
    """
    found = []
    for factor, names in levels.items():
        mine = site.sample.factors[factor][site.sample.scored]
        for name in names:
            here = mine == name
            if not here.any():
                continue
            part = aggregate(
                log_p[None, here], site.truth[here], site.cluster[here], site.frames.weights, bca=setting.bca
            )
            present = [int(label) for label in np.flatnonzero(part.view_counts)]
            value = make_estimate(
                float(part.point[0, present].mean()),
                part.draws[0].mean_over(present),
                n=int(here.sum()),
                clusters=len(np.unique(site.cluster[here])),
                why_not_estimable=setting.why_not_estimable(part, present),
            )
            views = tuple(setting.classes[label] for label in present)
            found.append(Stratum(factor=factor, level=name, views=views, balanced_accuracy=value))
    return tuple(found)


def score_probes(site: ScoredSite, run: int, setting: EvaluationContext) -> tuple[Probe, ...]:
    """Score run number `run` on every kind of altered frames that was predicted at the site."""
    sample = site.sample
    place = np.full(len(sample.truth), -1)
    place[sample.scored] = np.arange(len(site.truth))
    found = []
    for alteration, altered in sample.altered.items():
        rows = place[np.searchsorted(sample.frame, altered.frame)]
        truth, cluster = site.truth[rows], site.cluster[rows]
        logits = np.stack([altered.logits[run], sample.logits[run, sample.scored][rows]])
        level = aggregate(logits, truth, cluster, site.frames.weights, bca=setting.bca)
        present = [int(label) for label in np.flatnonzero(level.view_counts)]
        values = level.point[:, present].mean(1)
        draws = [draw.mean_over(present) for draw in level.draws]
        blocked, clusters = setting.why_not_estimable(level, present), len(np.unique(cluster))
        change = combine_resamples(draws, [1, -1], paired=True)
        found.append(
            Probe(
                alteration=alteration,
                balanced_accuracy=make_estimate(
                    float(values[0]), draws[0], n=len(rows), clusters=clusters, why_not_estimable=blocked
                ),
                change=make_estimate(
                    float(values[0] - values[1]), change, n=len(rows), clusters=clusters, why_not_estimable=blocked
                ),
                chance=1 / len(present),
            )
        )
    return tuple(found)
