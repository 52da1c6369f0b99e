"""Frames outside the taxonomy: do the model's scores give them away?"""

from __future__ import annotations

import numpy as np

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.context import EvaluationContext
from heart2heart.evaluation.intervals import cluster_weights, make_estimate, not_estimable
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.ranking import auroc, average_precision_low, false_positive_rate, resample_ranking
from heart2heart.evaluation.samples import SiteSample
from heart2heart.schema.site_metrics import OpenSet, OpenSetScore

MEASURES = {"auroc": auroc, "aupr": average_precision_low, "fpr95": false_positive_rate}


def open_set_scores(logits: Floats) -> dict[str, Floats]:
    """Return scores that are high for a frame of a scored view: `(n, classes)` to `(n,)` each.

    The largest probability: Hendrycks and Gimpel, ICLR 2017; the largest logit: Hendrycks et al., ICML 2022; the
    negative free energy at temperature 1: Liu et al., NeurIPS 2020.
    """
    largest = logits.max(1)
    energy = largest + np.log(np.exp(logits - largest[:, None]).sum(1))
    return {"max_probability": np.exp(log_probabilities(logits).max(1)), "max_logit": largest, "energy": energy}


def score_open_set(sample: SiteSample, run: int, setting: EvaluationContext) -> OpenSet:
    """Compare the scores of frames of scored views with those of frames outside the taxonomy."""
    inside = sample.scored.astype(np.int64)
    scores = open_set_scores(sample.logits[run])
    if inside.all() or not inside.any():
        side = "outside the taxonomy" if len(inside) and inside.all() else "of a scored view"
        nothing = not_estimable(f"no test frame {side} here")
        empty = OpenSetScore(auroc=nothing, aupr=nothing, fpr95=nothing)
        return OpenSet(auroc=nothing, scores=dict.fromkeys(scores, empty), outside=sample.outside)
    names, cluster = np.unique(sample.cluster, return_inverse=True)
    weights = cluster_weights(len(names), setting.replicates, setting.seed, sample.site, "open set")
    holders = min(len(np.unique(cluster[inside == side])) for side in (0, 1))
    blocked = None if holders > 1 else f"one side comes from only one {setting.unit}; an interval needs two"
    found = {}
    for name, values in scores.items():
        measured = resample_ranking(values, inside, cluster, weights, MEASURES, bca=setting.bca)
        found[name] = OpenSetScore(
            **{
                measure: make_estimate(value, draws, n=len(inside), clusters=len(names), why_not_estimable=blocked)
                for measure, (value, draws) in measured.items()
            }
        )
    return OpenSet(auroc=found["max_probability"].auroc, scores=found, outside=sample.outside)
