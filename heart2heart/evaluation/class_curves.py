"""ROC and precision-recall curves of each class against all others, by site, from predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions

MOST_POINTS = 80
"""Points of a curve that are kept; the others lie between them."""


@dataclass(frozen=True)
class ClassCurve:
    """How well the probability of one class separates its frames from those of all other classes at one site.

    Attributes:
        view: The class.
        share: Share of the frames that are of this class: the precision that chance reaches.
        false_positive_rate: `(points,)`, ascending.
        sensitivity: `(points,)`, of the same thresholds.
        recall: `(points,)`, descending.
        precision: `(points,)`, of the same thresholds.
        average_precision: Area under the precision-recall curve as a step function.
    """

    view: str
    share: float
    false_positive_rate: Floats
    sensitivity: Floats
    recall: Floats
    precision: Floats
    average_precision: float


def class_curves(predictions: Predictions, run: str) -> dict[str, list[ClassCurve]]:
    """Compute the curves of one run from its test frames of scored classes.

    Args:
        predictions: Predictions with their provenance.
        run: Name of the run.

    Returns:
        Curves by site in the order of the provenance; a site or class without frames on both sides has none.

    Examples:
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> list(class_curves(predictions, predictions.provenance.runs[0].run))
        ['A', 'B']
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

    provenance, table = predictions.provenance, predictions.table
    chosen = pc.and_(pc.equal(table["run"], run), pc.equal(table["role"], PredictionRole.TEST))
    rows = np.flatnonzero(pc.fill_null(chosen, False).to_numpy(zero_copy_only=False))
    truth, site_of = (table[name].to_numpy(zero_copy_only=False)[rows] for name in ("truth", "site"))
    scores = log_probabilities(predictions.logits[rows])
    known = np.isin(truth.astype(str), provenance.classes)
    curves: dict[str, list[ClassCurve]] = {}
    for info in provenance.sites:
        at_site = known & (site_of == info.site)
        for index, view in enumerate(provenance.classes):
            positive, score = truth[at_site] == view, scores[at_site, index]
            if positive.all() or not positive.any():
                continue
            false_positive_rate, sensitivity, _ = roc_curve(positive, score)
            precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
            roc, trade = _thin(len(sensitivity)), _thin(len(recall))
            curves.setdefault(info.site, []).append(
                ClassCurve(
                    view=view,
                    share=float(positive.mean()),
                    false_positive_rate=false_positive_rate[roc],
                    sensitivity=sensitivity[roc],
                    recall=recall[trade],
                    precision=precision[trade],
                    average_precision=float(average_precision_score(positive, score)),
                )
            )
    return curves


def _thin(points: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the positions of at most `MOST_POINTS` points, evenly spaced, with both ends."""
    return np.unique(np.linspace(0, points - 1, min(points, MOST_POINTS)).round().astype(np.int64))
