"""Decides by a fixed rule whether a model may be used at a hospital; docs/how-to/decide.md explains the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

from heart2heart.schema.decision import (
    COUNTS,
    CriterionKind,
    CriterionResult,
    DecisionKind,
    JudgedCriterion,
    Ranking,
)

RANK = {DecisionKind.REFUSE: 0, DecisionKind.LABEL: 1, DecisionKind.ADAPT: 1, DecisionKind.USE: 2}
"""Order of the decisions; the two in the middle ask for work of different kinds, and neither is the better one."""

_LOWEST_NEEDED_AUROC = 0.8
_MAXIMA = (CriterionKind.LOSS,)
_BOTH_WAYS = (CriterionKind.CALIBRATION,)


def judge_limit(kind: CriterionKind, limit: float, low: float | None, high: float | None) -> CriterionResult:
    """Judge the interval of a statistic by a limit: only a whole interval shows anything.

    Args:
        kind: What the criterion is about: it says whether the limit is a minimum, a maximum, or holds either way.
        limit: The limit, as a fraction of 1.
        low: Lower end of the interval; None without one.
        high: Upper end.

    Examples:
        >>> [str(judge_limit(CriterionKind.SENSITIVITY, 0.8, *ends)) for ends in ((0.82, 0.9), (0.6, 0.79), (0.7, 0.9))]
        ['met', 'missed', 'not_shown']
        >>> [str(judge_limit(CriterionKind.CALIBRATION, 0.1, *ends)) for ends in ((-0.05, 0.09), (-0.3, -0.12))]
        ['met', 'missed']
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return CriterionResult.NOT_SHOWN
    if kind in _BOTH_WAYS:
        met, missed = -limit < low and high < limit, low > limit or high < -limit
    elif kind in _MAXIMA:
        met, missed = high < limit, low > limit
    else:
        met, missed = low > limit, high < limit
    if met:
        return CriterionResult.MET
    return CriterionResult.MISSED if missed else CriterionResult.NOT_SHOWN


def is_on_wrong_side(criterion: JudgedCriterion) -> bool:
    """Return whether the value of a statistic misses its limit, whatever its interval shows.

    Args:
        criterion: The criterion, judged.

    Examples:
        >>> from heart2heart.schema.site_metrics import Estimate
        >>> low = Estimate(value=0.75, low=0.6, high=0.9, n=90, clusters=30, few_clusters=False)
        >>> content = {"kind": CriterionKind.SENSITIVITY, "limit": 0.8, "result": CriterionResult.NOT_SHOWN}
        >>> is_on_wrong_side(JudgedCriterion(estimate=low, **content))
        True
    """
    estimate = criterion.estimate
    if estimate is None or estimate.low is None or estimate.value is None:
        return False
    return judge_limit(criterion.kind, criterion.limit, estimate.value, estimate.value) is CriterionResult.MISSED


def needed_auroc(minimum: float) -> float:
    """Return the AUROC at which a threshold reaches a minimum for the class and for the rest.

    The scores of both groups are assumed to be normal with one variance. Their distance d then gives an AUROC of
    Phi(d / sqrt(2)) and, with the threshold in the middle, shares of Phi(d / 2) on both sides (Green and Swets, "Signal
    Detection Theory and Psychophysics", 1966). At least 0.8 is needed.

    Args:
        minimum: Smallest acceptable sensitivity, as a fraction of 1.

    Examples:
        >>> [round(needed_auroc(minimum), 3) for minimum in (0.5, 0.8, 0.9)]
        [0.8, 0.883, 0.965]
    """
    from scipy.special import ndtr, ndtri

    return max(float(ndtr(math.sqrt(2) * ndtri(minimum))), _LOWEST_NEEDED_AUROC)


def reachable_sensitivity(auroc: float) -> float:
    """Return the sensitivity that a threshold in the middle reaches, by the assumption of `needed_auroc`.

    Args:
        auroc: AUROC, between 0 and 1.

    Examples:
        >>> round(reachable_sensitivity(needed_auroc(0.9)), 3)
        0.9
    """
    from scipy.special import ndtr, ndtri

    return float(ndtr(ndtri(min(max(auroc, 1e-6), 1 - 1e-6)) / math.sqrt(2)))


def can_be_mended(criteria: Sequence[JudgedCriterion], rankings: Sequence[Ranking]) -> bool:
    """Return whether recalibration or adaptation can mend every missed criterion.

    Accuracies, losses and calibration can be mended, where the ranking of each class concerned is good enough. The
    separation from unknown classes cannot.

    Args:
        criteria: Every criterion.
        rankings: Rankings of the classes concerned.

    Examples:
        >>> content = {"limit": 0.8, "result": CriterionResult.MISSED}
        >>> missed = JudgedCriterion(kind=CriterionKind.SENSITIVITY, class_name="A4C", **content)
        >>> good = Ranking(class_name="A4C", auroc=0.97, low=0.93, needed=needed_auroc(0.8))
        >>> can_be_mended([missed], [good]), can_be_mended([missed], [])
        (True, False)
    """
    missed = [criterion.kind for criterion in criteria if criterion.result is CriterionResult.MISSED]
    if not missed or CriterionKind.UNKNOWN_CLASSES in missed:
        return False
    if set(missed) == {CriterionKind.CALIBRATION}:
        return True
    return bool(rankings) and all(ranking.sufficient for ranking in rankings)


def choose_decision(
    criteria: Sequence[JudgedCriterion], rankings: Sequence[Ranking] = (), *, adapted: bool
) -> DecisionKind:
    """Return the decision about one hospital.

    Args:
        criteria: Every criterion, judged.
        rankings: Rankings of the classes that missed criteria concern.
        adapted: An adapted model meets every criterion there.

    Examples:
        >>> met, missed = (
        ...     JudgedCriterion(kind=CriterionKind.BALANCED_ACCURACY, limit=0.8, result=result)
        ...     for result in (CriterionResult.MET, CriterionResult.MISSED)
        ... )
        >>> str(choose_decision([met], adapted=False)), str(choose_decision([missed], adapted=False))
        ('use', 'do_not_use')
    """
    results = [criterion.result for criterion in criteria]
    if all(result is CriterionResult.MET for result in results):
        return DecisionKind.USE
    if adapted:
        return DecisionKind.ADAPT
    if CriterionResult.MISSED not in results:
        return DecisionKind.LABEL
    if not can_be_mended(criteria, rankings):
        return DecisionKind.REFUSE
    enough = all(criterion.result is CriterionResult.MET for criterion in criteria if criterion.kind in COUNTS)
    return DecisionKind.ADAPT if enough else DecisionKind.LABEL
