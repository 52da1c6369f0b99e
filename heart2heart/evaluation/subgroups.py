"""Accuracy by maker, mode, quality, sex and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from heart2heart.evaluation.aggregation import aggregate
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.context import EvaluationContext
from heart2heart.evaluation.intervals import make_estimate
from heart2heart.evaluation.samples import SiteSample
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.site_metrics import Stratum


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
