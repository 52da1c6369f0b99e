"""How many more labeled patients decide about a hospital, from its criteria, a pilot or assumptions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from heart2heart.evaluation.contrasts import Contrast
from heart2heart.evaluation.criteria_estimates import CriteriaEstimates, Measured
from heart2heart.evaluation.criteria_statistics import Question
from heart2heart.evaluation.decision import is_on_wrong_side, judge_limit, reachable_sensitivity
from heart2heart.evaluation.patients_to_decide import (
    ASSUMED_PATIENTS,
    Projection,
    assumed_share,
    fewest_patients,
    project_contrast,
)
from heart2heart.schema.criteria import Criteria
from heart2heart.schema.decision import (
    COUNTS,
    CriterionKind,
    CriterionResult,
    DecisionKind,
    JudgedCriterion,
    Ranking,
)

_SAMPLE = "assumed"
_ASSUMED_ACCURACY = 0.85


@dataclass(frozen=True)
class PatientCounts:
    """Labeled patients of one hospital.

    Attributes:
        all: All of them.
        rarest: Those of the rarest class that the hospital has.
    """

    all: int
    rarest: int


def judge_counts(criteria: Criteria, counts: PatientCounts) -> list[JudgedCriterion]:
    """Judge the criteria that are numbers of patients.

    Args:
        criteria: The criteria.
        counts: Patients of the hospital.

    Examples:
        >>> criteria = Criteria(question="Use?", written_by="AB", loss=5, patients=30, patients_of_rarest_class=10)
        >>> judged = judge_counts(criteria, PatientCounts(all=20, rarest=4))
        >>> [(str(criterion.result), criterion.patients_needed) for criterion in judged]
        [('not_shown', 30), ('not_shown', 50)]
    """
    judged = []
    for kind, limit, count in (
        (CriterionKind.PATIENTS, criteria.patients, counts.all),
        (CriterionKind.RAREST_CLASS, criteria.patients_of_rarest_class, counts.rarest),
    ):
        if limit is None:
            continue
        met = count >= limit
        needed = limit if kind is CriterionKind.PATIENTS else math.ceil(limit * counts.all / count) if count else limit
        judged.append(
            JudgedCriterion(
                kind=kind,
                limit=limit,
                count=count,
                result=CriterionResult.MET if met else CriterionResult.NOT_SHOWN,
                patients_needed=None if met or needed > criteria.most_patients else needed,
                by_assumption=not met and not count,
            )
        )
    return judged


def judge_measured(
    measured: Measured, method: str, estimates: CriteriaEstimates, criteria: Criteria, counts: PatientCounts
) -> JudgedCriterion:
    """Judge one statistic, with the number of patients that would decide it.

    Args:
        measured: The statistic.
        method: Name of the model.
        estimates: Every statistic of the decision: a pilot for one without an interval.
        criteria: The criteria.
        counts: Patients of the hospital.

    Examples:
        >>> from heart2heart.evaluation.intervals import not_estimable
        >>> criteria = Criteria(question="Use?", written_by="AB", balanced_accuracy=80)
        >>> question = Question(CriterionKind.BALANCED_ACCURACY, None, 0.8)
        >>> estimates = CriteriaEstimates(measured={}, pilot={}, pilot_patients=0, each=0.95, intervals=1)
        >>> nothing = Measured(question, not_estimable("no case"), None)
        >>> judged = judge_measured(nothing, "model", estimates, criteria, PatientCounts(all=0, rarest=0))
        >>> judged.patients_needed, judged.by_assumption
        (42, True)
    """
    question, estimate = measured.question, measured.estimate
    result = judge_limit(question.kind, question.limit, estimate.low, estimate.high)
    needed, by_assumption = None, False
    if result is CriterionResult.NOT_SHOWN:
        options = {"power": criteria.power / 100}

        def decided(low: float, high: float) -> bool:
            return judge_limit(question.kind, question.limit, low, high) is not CriterionResult.NOT_SHOWN

        if measured.projection is not None:
            needed = fewest_patients(
                measured.projection,
                decided,
                patients=counts.all,
                least=counts.all + 1,
                most=criteria.most_patients,
                **options,
            )
        else:
            by_assumption = True
            pilot = estimates.pilot.get(method, {}).get(question)
            projection, patients = (
                (assumed_projection(question, estimates.each), ASSUMED_PATIENTS)
                if pilot is None
                else (pilot, estimates.pilot_patients)
            )
            more = fewest_patients(
                projection, decided, patients=patients, least=2, most=criteria.most_patients - counts.all, **options
            )
            needed = None if more is None else counts.all + more
    return JudgedCriterion(
        kind=question.kind,
        class_name=question.class_name,
        limit=question.limit,
        estimate=estimate,
        result=result,
        patients_needed=needed,
        by_assumption=by_assumption,
    )


def assumed_projection(question: Question, confidence: float) -> Projection:
    """Return an interval by number of patients where nothing was measured.

    A minimum is assumed to be exceeded by half of what is possible. A loss and a difference of confidence and accuracy
    are assumed to be zero, at an accuracy of 0.85.

    Args:
        question: The criterion.
        confidence: Nominal coverage.

    Examples:
        >>> question = Question(CriterionKind.BALANCED_ACCURACY, None, 0.8)
        >>> [round(limit, 2) for limit in assumed_projection(question, 0.95).widened(10, 0.5)]
        [0.86, 0.93]
    """
    if question.kind not in (CriterionKind.LOSS, CriterionKind.CALIBRATION):
        return project_contrast(assumed_share((1 + question.limit) / 2, _SAMPLE), _SAMPLE, confidence)
    share = assumed_share(_ASSUMED_ACCURACY, _SAMPLE)
    negative = Contrast(tuple((shares, np.negative(weights)) for shares, weights in share.parts))
    return project_contrast(negative, _SAMPLE, confidence, offset=_ASSUMED_ACCURACY)


def more_patients(
    decision: DecisionKind,
    criteria: Sequence[JudgedCriterion],
    rankings: Sequence[Ranking],
    *,
    adapted: bool,
    counts: PatientCounts,
    limits: Criteria,
    each: float,
) -> int | None:
    """Return how many more labeled patients decide about a hospital; None if more than the most patients are needed.

    Patients that only confirm an estimate on the right side of its limit must suffice for every criterion; an estimate
    on the wrong side needs to be shown to miss one. After a recalibration, the number is that of its own test.

    Args:
        decision: The decision.
        criteria: Every criterion, judged.
        rankings: Rankings of the classes that missed criteria concern.
        adapted: An adapted model meets every criterion.
        counts: Patients of the hospital.
        limits: The criteria.
        each: Nominal coverage of each interval.

    Examples:
        >>> limits = Criteria(question="Use?", written_by="AB", balanced_accuracy=80, patients=30)
        >>> counts = PatientCounts(all=20, rarest=8)
        >>> options = {"adapted": False, "counts": counts, "limits": limits, "each": 0.95}
        >>> more_patients(DecisionKind.LABEL, judge_counts(limits, counts), [], **options)
        10
    """
    if decision in (DecisionKind.USE, DecisionKind.REFUSE) or (decision is DecisionKind.ADAPT and adapted):
        return 0
    if decision is DecisionKind.ADAPT:
        return _test_of_recalibrated(criteria, rankings, limits=limits, each=each)
    unshown = [criterion for criterion in criteria if criterion.result is CriterionResult.NOT_SHOWN]
    wrong_side = [criterion for criterion in unshown if is_on_wrong_side(criterion)]
    if any(criterion.result is CriterionResult.MISSED for criterion in criteria):
        needed = _largest([criterion for criterion in unshown if criterion.kind in COUNTS])
    elif wrong_side:
        known = [criterion.patients_needed for criterion in wrong_side if criterion.patients_needed is not None]
        needed = min(known, default=None)
    else:
        needed = _largest(unshown)
    return None if needed is None else max(needed - counts.all, 1)


def _largest(criteria: Sequence[JudgedCriterion]) -> int | None:
    """Return the largest number that a criterion needs; None if one needs more than the most patients."""
    needed = [criterion.patients_needed for criterion in criteria]
    known = [number for number in needed if number is not None]
    return max(known) if len(known) == len(needed) and known else None


def _test_of_recalibrated(
    criteria: Sequence[JudgedCriterion], rankings: Sequence[Ranking], *, limits: Criteria, each: float
) -> int | None:
    """Return the patients that show the missed criteria after a recalibration that reaches what the ranking allows."""
    reachable = min(
        (reachable_sensitivity(ranking.auroc) for ranking in rankings if ranking.auroc is not None), default=None
    )
    numbers = []
    for criterion in criteria:
        if criterion.result is not CriterionResult.MISSED:
            continue
        question = Question(criterion.kind, criterion.class_name, criterion.limit)
        projection = assumed_projection(question, each)
        if criterion.kind in (CriterionKind.SENSITIVITY, CriterionKind.BALANCED_ACCURACY) and reachable is not None:
            projection = project_contrast(assumed_share(min(reachable, 1 - 1e-6), _SAMPLE), _SAMPLE, each)
        numbers.append(
            fewest_patients(
                projection,
                partial(_meets, question),
                patients=ASSUMED_PATIENTS,
                power=limits.power / 100,
                least=2,
                most=limits.most_patients,
            )
        )
    known = [number for number in numbers if number is not None]
    return max([*known, limits.patients or 0]) if len(known) == len(numbers) else None


def _meets(question: Question, low: float, high: float) -> bool:
    return judge_limit(question.kind, question.limit, low, high) is CriterionResult.MET
