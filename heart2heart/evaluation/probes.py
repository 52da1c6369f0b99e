"""Shortcut probes: the same frames altered so that the heart is gone, or that everything but the heart is another's."""

from __future__ import annotations

import numpy as np

from heart2heart.evaluation.aggregation import aggregate
from heart2heart.evaluation.context import EvaluationContext
from heart2heart.evaluation.intervals import combine_resamples, make_estimate
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import Probe


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
