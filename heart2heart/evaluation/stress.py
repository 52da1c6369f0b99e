"""The stress test: balanced accuracy under acoustic perturbations, by kind and level, and the mean loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.aggregation import EvaluationContext, aggregate
from heart2heart.evaluation.intervals import Resamples, combine_resamples, make_estimate
from heart2heart.evaluation.sites import ScoredSite
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
    sample = site.sample
    position = np.full(len(sample.truth), -1)
    position[sample.scored] = np.arange(len(site.truth))
    levels = [level for name, level in sample.perturbed if name == kind]
    points, changes = [], []
    for level in levels:
        perturbed = sample.perturbed[kind, level]
        rows = position[np.searchsorted(sample.frame, perturbed.frame)]
        truth, cluster = site.truth[rows], site.cluster[rows]
        logits = np.stack([perturbed.logits[run], sample.logits[run, sample.scored][rows]])
        both = aggregate(logits, truth, cluster, site.frames.weights, bca=context.bca)
        present = [int(label) for label in np.flatnonzero(both.view_counts)]
        values = both.point[:, present].mean(1)
        draws = [draw.mean_over(present) for draw in both.draws]
        change = combine_resamples(draws, [1, -1], paired=True)
        reason, clusters = context.why_not_estimable(both, present), len(np.unique(cluster))
        points.append(
            StressPoint(
                level=level,
                balanced_accuracy=make_estimate(
                    float(values[0]), draws[0], n=len(rows), clusters=clusters, why_not_estimable=reason
                ),
                change=make_estimate(
                    float(values[0] - values[1]), change, n=len(rows), clusters=clusters, why_not_estimable=reason
                ),
            )
        )
        changes.append((float(values[0] - values[1]), change))
    weights = [-weight for weight in trapezoid_weights(levels)]
    value = sum(weight * change for weight, (change, _) in zip(weights, changes, strict=True))
    area = combine_resamples([draws for _, draws in changes], weights, paired=True)
    loss = make_estimate(
        value, area, n=points[-1].change.n, clusters=points[-1].change.clusters,
        why_not_estimable=points[-1].change.reason if points[-1].change.low is None else None,
    )  # fmt: skip
    return StressCurve(perturbation=kind, points=tuple(points), loss=loss), (value, area)
