"""The stress test: balanced accuracy under acoustic perturbations, by kind and level, and the mean loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.aggregation import EvaluationContext
from heart2heart.evaluation.intervals import Resamples, combine_resamples, make_estimate
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.evaluation.subgroups import score_altered
from heart2heart.schema.site_metrics import StressCurve, StressPoint

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
    losses: list[tuple[float, Resamples, int]] = []
    for kind in sorted({kind for kind, _ in site.sample.perturbed}):
        curve, loss = _score_kind(site, run, kind, context)
        curves.append(curve)
        losses.append((*loss, curve.loss.n))
    if not curves:
        return ()
    share = 1 / len(losses)
    estimate = make_estimate(
        sum(share * value for value, _, _ in losses),
        combine_resamples([draws for _, draws, _ in losses], [share] * len(losses), paired=True),
        n=max(n for _, _, n in losses),
        clusters=max(curve.loss.clusters for curve in curves),
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


def _score_kind(
    site: ScoredSite, run: int, kind: str, context: EvaluationContext
) -> tuple[StressCurve, tuple[float, Resamples]]:
    """Return the curve of one kind, and the value and resamples of its loss."""
    levels = [level for name, level in site.sample.perturbed if name == kind]
    scores = [score_altered(site, run, site.sample.perturbed[kind, level], context) for level in levels]
    points = tuple(
        StressPoint(level=level, balanced_accuracy=score.balanced_accuracy, change=score.change)
        for level, score in zip(levels, scores, strict=True)
    )
    weights = [-weight for weight in trapezoid_weights(levels)]
    value = sum(weight * score.difference for weight, score in zip(weights, scores, strict=True))
    area = combine_resamples([score.draws for score in scores], weights, paired=True)
    last = scores[-1].change
    reason = last.reason if last.low is None else None
    loss = make_estimate(value, area, n=last.n, clusters=last.clusters, why_not_estimable=reason)
    return StressCurve(perturbation=kind, points=points, loss=loss), (value, area)
