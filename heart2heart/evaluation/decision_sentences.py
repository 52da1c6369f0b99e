"""The reason of a decision in one sentence, with the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from heart2heart.evaluation.decision import is_on_wrong_side
from heart2heart.schema.decision import (
    CriterionKind,
    CriterionResult,
    DecisionKind,
    JudgedCriterion,
    Ranking,
)

_MOST_NAMED = 3
"""Most criteria that one sentence names."""


def criterion_name(criterion: JudgedCriterion, unit: str = "patient") -> str:
    """Return what a reader calls a criterion.

    Args:
        criterion: The criterion.
        unit: What is counted.

    Examples:
        >>> limit = {"limit": 0.8, "result": CriterionResult.MET}
        >>> criterion_name(JudgedCriterion(kind=CriterionKind.SENSITIVITY, class_name="A4C", **limit))
        'sensitivity of A4C'
    """
    return {
        CriterionKind.BALANCED_ACCURACY: "balanced accuracy",
        CriterionKind.SENSITIVITY: f"sensitivity of {criterion.class_name}",
        CriterionKind.LOSS: "loss against the source",
        CriterionKind.CALIBRATION: "mean confidence minus accuracy",
        CriterionKind.UNKNOWN_CLASSES: "AUROC for unknown classes",
        CriterionKind.PATIENTS: f"labeled {unit}s",
        CriterionKind.RAREST_CLASS: f"labeled {unit}s of the rarest class",
    }[criterion.kind]


def _is_difference(criterion: JudgedCriterion) -> bool:
    return criterion.kind in (CriterionKind.LOSS, CriterionKind.CALIBRATION)


def limit_text(criterion: JudgedCriterion) -> str:
    """Write the limit of a criterion: `at least 80 %`.

    Examples:
        >>> limit_text(JudgedCriterion(kind=CriterionKind.LOSS, limit=0.05, result=CriterionResult.MET))
        'at most 5 points'
    """
    if criterion.count is not None:
        return f"at least {criterion.limit:g}"
    number = f"{100 * criterion.limit:.4g}"
    if criterion.kind is CriterionKind.CALIBRATION:
        return f"at most {number} points either way"
    return f"at most {number} points" if criterion.kind is CriterionKind.LOSS else f"at least {number} %"


def value_text(criterion: JudgedCriterion) -> str:
    """Write the value of a criterion with its interval: `85.2 % (78.0 to 90.1)`.

    Examples:
        >>> limit = {"limit": 30, "result": CriterionResult.MET}
        >>> value_text(JudgedCriterion(kind=CriterionKind.PATIENTS, count=34, **limit))
        '34'
    """
    if criterion.count is not None:
        return str(criterion.count)
    estimate = criterion.estimate
    if estimate is None or estimate.value is None:
        return "not estimable" if estimate is None else f"not estimable: {estimate.reason}"
    unit = " points" if _is_difference(criterion) else " %"
    value = f"{_points(estimate.value)}{unit}"
    if estimate.low is None or estimate.high is None:
        return f"{value}, no interval: {estimate.reason}"
    return f"{value} ({_points(estimate.low)} to {_points(estimate.high)})"


def _points(value: float) -> str:
    text = f"{100 * value:.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def describe_reason(
    decision: DecisionKind,
    criteria: Sequence[JudgedCriterion],
    rankings: Sequence[Ranking],
    adapted_method: str | None,
    unit: str,
) -> str:
    """Write the reason of a decision.

    Args:
        decision: The decision.
        criteria: Every criterion, judged.
        rankings: Rankings of the classes that missed criteria concern.
        adapted_method: An adapted model that meets every criterion; None: there is none.
        unit: What is counted.

    Examples:
        >>> limit = {"limit": 30, "result": CriterionResult.MET}
        >>> count = JudgedCriterion(kind=CriterionKind.PATIENTS, count=34, **limit)
        >>> describe_reason(DecisionKind.USE, [count], [], None, "patient")
        'All criteria are shown: labeled patients 34 (at least 30).'
    """
    if decision is DecisionKind.USE:
        lead = "All criteria are shown" if len(criteria) <= _MOST_NAMED else f"All {len(criteria)} criteria are shown"
        return f"{lead}: {_join_criteria(criteria, unit)}."
    missed = [criterion for criterion in criteria if criterion.result is CriterionResult.MISSED]
    unshown = [criterion for criterion in criteria if criterion.result is CriterionResult.NOT_SHOWN]
    lead = f"Missed: {_join_criteria(missed, unit)}" if missed else f"Not shown yet: {_join_criteria(unshown, unit)}"
    if decision is DecisionKind.ADAPT and adapted_method is not None:
        return f"{lead}; but adapted to this hospital, “{adapted_method}” meets every criterion."
    if decision is DecisionKind.ADAPT:
        mended = f"the ranking is good ({_rankings(rankings)})" if rankings else "recalibration leaves its accuracy"
        return f"{lead}; but {mended}: adapt or recalibrate the model here, then test it again on other {unit}s."
    if decision is DecisionKind.REFUSE:
        insufficient = [ranking for ranking in rankings if not ranking.sufficient]
        if any(criterion.kind is CriterionKind.UNKNOWN_CLASSES for criterion in missed):
            return f"{lead}; recalibration cannot mend the separation from unknown classes."
        why = f", as the ranking is not shown to be good enough ({_rankings(insufficient)})" if insufficient else ""
        return f"{lead}; recalibration is not shown to mend it{why}."
    if missed:
        counts = [criterion for criterion in unshown if criterion.count is not None]
        return f"{lead}; recalibration may mend it, but too few {unit}s are labeled: {_join_criteria(counts, unit)}."
    if any(is_on_wrong_side(criterion) for criterion in unshown):
        return f"{lead}. More {unit}s will rather show that a criterion is missed, if the values stay as they are."
    return f"{lead}."


def _join_criteria(criteria: Sequence[JudgedCriterion], unit: str) -> str:
    parts = [
        f"{criterion_name(criterion, unit)} {value_text(criterion)}{_limit(criterion)}"
        for criterion in criteria[:_MOST_NAMED]
    ]
    more = len(criteria) - _MOST_NAMED
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _limit(criterion: JudgedCriterion) -> str:
    if criterion.count is not None:
        return f" ({limit_text(criterion)})"
    return f", {limit_text(criterion)} {'allowed' if _is_difference(criterion) else 'needed'}"


def _rankings(rankings: Sequence[Ranking]) -> str:
    parts = []
    for ranking in rankings[:_MOST_NAMED]:
        if ranking.auroc is None or ranking.low is None:
            parts.append(f"AUROC of {ranking.class_name} not estimable")
            continue
        parts.append(
            f"AUROC of {ranking.class_name} {_points(ranking.auroc)} %, at least {_points(ranking.low)}, "
            f"{_points(ranking.needed)} needed"
        )
    more = len(rankings) - _MOST_NAMED
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def decision_text(decision: DecisionKind, more_patients: int | None, most: int, patients: int, unit: str) -> str:
    """Write a decision for a reader.

    Args:
        decision: The decision.
        more_patients: More labeled patients that decide it; None: more than `most` in all.
        most: Largest number of patients that was considered.
        patients: Labeled patients now.
        unit: What is counted.

    Examples:
        >>> decision_text(DecisionKind.LABEL, 34, 2000, 12, "patient")
        'Label 34 more patients first'
        >>> decision_text(DecisionKind.LABEL, None, 2000, 12, "patient")
        'Label more than 1988 more patients first'
    """
    if decision is not DecisionKind.LABEL:
        return {
            DecisionKind.USE: "Use",
            DecisionKind.ADAPT: "Use after adaptation or recalibration",
            DecisionKind.REFUSE: "Do not use",
        }[decision]
    if more_patients is None:
        return f"Label more than {max(most - patients, 0)} more {unit}s first"
    return f"Label {more_patients} more {unit if more_patients == 1 else f'{unit}s'} first"
