"""Between hospitals: the worst cell, and what a sample of hospitals says about others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.aggregation import EvaluationContext
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.intervals import CONFIDENCE, FEW_CLUSTERS, combine_resamples, make_estimate
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.metrics import RandomEffects, WorstCell

FEWEST_SITES = 5


def worst_cell(runs: Sequence[int], sites: Sequence[ScoredSite], setting: EvaluationContext) -> WorstCell | None:
    """Find the view and held-out site with the lowest sensitivity, mean over runs, among cells of enough clusters.

    The cell is chosen for being low: its own 95 % interval held the truth in 80 % of simulated studies of six cells.
    The interval given holds for all cells together (Bonferroni, each at one less .05 over their number).
    """
    cells = [
        (float(site.frames.point[list(runs), label].mean()), place, label)
        for place, site in enumerate(sites)
        for label in site.present
        if site.frames.view_clusters[label] >= FEW_CLUSTERS
    ]
    if not cells:
        return None
    value, place, label = min(cells)
    site = sites[place]
    draws = [site.frames.draws[run].for_class(label) for run in runs]
    found = make_estimate(
        value,
        combine_resamples(draws, [1 / len(runs)] * len(runs), paired=True),
        n=int(site.frames.view_counts[label]),
        clusters=int(site.frames.view_clusters[label]),
        confidence=1 - (1 - CONFIDENCE) / len(cells),
    )
    return WorstCell(site=site.info.site, view=setting.classes[label], sensitivity=found, cells=len(cells))


def random_effects(values: Floats, variances: Floats) -> RandomEffects:
    """Treat sites as a sample of hospitals.

    DerSimonian and Laird (Controlled Clinical Trials 1986) for the variance between sites; Hartung and Knapp
    (Statistics in Medicine 2001) for the mean's interval; Higgins, Thompson and Spiegelhalter (JRSS A 2009), equation
    12, for the prediction interval. Ends are kept within 0 and 1.

    Args:
        values: The statistic at each site `(sites,)`.
        variances: Its sampling variance `(sites,)`.
    """
    from scipy.stats import t

    k = len(values)
    nothing = dict.fromkeys(("mean", "low", "high", "between", "prediction_low", "prediction_high"))
    if k < FEWEST_SITES:
        reason = f"{k} held-out sites with an interval; nothing is inferred about other hospitals below {FEWEST_SITES}"
        return RandomEffects(**nothing, sites=k, reason=reason)
    if not (variances > 0).all():
        return RandomEffects(**nothing, sites=k, reason="a site shows no spread between its clusters")
    fixed = 1 / variances
    pooled = (fixed * values).sum() / fixed.sum()
    excess = (fixed * (values - pooled) ** 2).sum() - (k - 1)
    between = max(0.0, float(excess / (fixed.sum() - (fixed**2).sum() / fixed.sum())))
    weights = 1 / (variances + between)
    mean = float((weights * values).sum() / weights.sum())
    # Never narrower than the usual interval (Roever, Knapp and Friede, BMC Medical Research Methodology 2015).
    scale = max(1.0, float((weights * (values - mean) ** 2).sum() / (k - 1)))
    error = float(np.sqrt(scale / weights.sum()))
    tail = (1 + CONFIDENCE) / 2
    reach = float(t.ppf(tail, k - 1)) * error
    beyond = float(t.ppf(tail, k - 2)) * float(np.sqrt(between + error**2))
    return RandomEffects(
        mean=mean,
        low=max(0.0, mean - reach),
        high=min(1.0, mean + reach),
        between=float(np.sqrt(between)),
        prediction_low=max(0.0, mean - beyond),
        prediction_high=min(1.0, mean + beyond),
        sites=k,
    )
