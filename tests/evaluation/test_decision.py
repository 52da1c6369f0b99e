"""The rule of the decision: every branch, and that better numbers never make it worse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from heart2heart.evaluation.decision import (
    RANK,
    can_be_mended,
    choose_decision,
    is_on_wrong_side,
    judge_limit,
    needed_auroc,
    reachable_sensitivity,
)
from heart2heart.schema.decision import (
    CriterionKind,
    CriterionResult,
    DecisionKind,
    JudgedCriterion,
    Ranking,
)
from heart2heart.schema.site_metrics import Estimate

MINIMA = (CriterionKind.BALANCED_ACCURACY, CriterionKind.SENSITIVITY, CriterionKind.UNKNOWN_CLASSES)


def judged(kind: CriterionKind, low: float, high: float, limit: float = 0.8) -> JudgedCriterion:
    value = (low + high) / 2
    estimate = Estimate(value=value, low=low, high=high, n=90, clusters=30, few_clusters=False)
    result = judge_limit(kind, limit, low, high)
    return JudgedCriterion(kind=kind, limit=limit, estimate=estimate, result=result)


def patients(count: int, limit: int = 30) -> JudgedCriterion:
    result = CriterionResult.MET if count >= limit else CriterionResult.NOT_SHOWN
    return JudgedCriterion(kind=CriterionKind.PATIENTS, limit=limit, count=count, result=result)


def ranking(low: float, needed: float = 0.9) -> Ranking:
    return Ranking(class_name="A4C", auroc=min(low + 0.02, 1.0), low=low, needed=needed)


SENSITIVITY = CriterionKind.SENSITIVITY
SHOWN, OPEN, MISSED = (judged(SENSITIVITY, *ends) for ends in ((0.85, 0.95), (0.7, 0.9), (0.0, 0.1)))
UNKNOWN_MISSED = judged(CriterionKind.UNKNOWN_CLASSES, 0.4, 0.6)
CALIBRATION_MISSED = judged(CriterionKind.CALIBRATION, 0.2, 0.3, 0.1)
GOOD, POOR = ranking(0.93), ranking(0.7)


@pytest.mark.parametrize(
    ("criteria", "rankings", "adapted", "decision"),
    [
        ([SHOWN, patients(40)], [], False, "use"),
        ([SHOWN, patients(40)], [], True, "use"),
        ([SHOWN, patients(20)], [], False, "label_more_first"),
        ([SHOWN, OPEN], [], False, "label_more_first"),
        ([SHOWN, OPEN], [], True, "use_after_adaptation_or_recalibration"),
        ([SHOWN, MISSED], [POOR], False, "do_not_use"),
        ([SHOWN, MISSED], [], False, "do_not_use"),
        ([SHOWN, MISSED], [GOOD], False, "use_after_adaptation_or_recalibration"),
        ([SHOWN, MISSED], [GOOD, POOR], False, "do_not_use"),
        ([SHOWN, MISSED], [POOR], True, "use_after_adaptation_or_recalibration"),
        ([OPEN, MISSED], [GOOD], False, "use_after_adaptation_or_recalibration"),
        ([MISSED, patients(20)], [GOOD], False, "label_more_first"),
        ([MISSED, patients(20)], [POOR], False, "do_not_use"),
        ([SHOWN, UNKNOWN_MISSED], [], False, "do_not_use"),
        ([MISSED, UNKNOWN_MISSED], [GOOD], False, "do_not_use"),
        ([SHOWN, CALIBRATION_MISSED], [], False, "use_after_adaptation_or_recalibration"),
        ([MISSED, CALIBRATION_MISSED], [POOR], False, "do_not_use"),
    ],
)
def test_choose_decision_follows_every_branch(
    criteria: list[JudgedCriterion], rankings: list[Ranking], adapted: bool, decision: str
) -> None:
    assert str(choose_decision(criteria, rankings, adapted=adapted)) == decision


def test_judge_limit_needs_an_interval() -> None:
    for kind in CriterionKind:
        for ends in ((None, None), (math.nan, math.nan)):
            assert judge_limit(kind, 0.8, *ends) is CriterionResult.NOT_SHOWN


@given(st.sampled_from(list(CriterionKind)), st.floats(-1, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_judge_limit_shows_nothing_where_the_interval_crosses_the_limit(
    kind: CriterionKind, low: float, width: float, limit: float
) -> None:
    high = low + width
    limits = (-limit, limit) if kind is CriterionKind.CALIBRATION else (limit,)
    result = judge_limit(kind, limit, low, high)
    assert (result is CriterionResult.NOT_SHOWN) == any(low <= each <= high for each in limits)


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[tuple[CriterionKind, float, float]], int, float, bool]:
    """Draw intervals of criteria, a number of patients, the lower limit of a ranking, and an adapted model."""
    kinds = draw(st.lists(st.sampled_from([*MINIMA, CriterionKind.LOSS]), min_size=1, max_size=4))
    intervals = [(kind, draw(st.floats(0, 1)), draw(st.floats(0, 0.5))) for kind in kinds]
    return intervals, draw(st.integers(0, 60)), draw(st.floats(0.5, 1)), draw(st.booleans())


def rank(intervals: list[tuple[CriterionKind, float, float]], count: int, low: float, adapted: bool) -> int:
    criteria = [judged(kind, start, start + width, 0.5) for kind, start, width in intervals]
    return RANK[choose_decision([*criteria, patients(count)], [ranking(low, 0.8)], adapted=adapted)]


@given(studies(), st.floats(0, 0.6), st.integers(0, 40), st.floats(0, 0.4), st.booleans())
def test_choose_decision_is_never_worse_for_better_numbers(
    study: tuple[list[tuple[CriterionKind, float, float]], int, float, bool],
    gain: float,
    more: int,
    sharper: float,
    adapted: bool,
) -> None:
    intervals, count, low, was_adapted = study
    better = [
        (kind, start - gain if kind is CriterionKind.LOSS else start + gain, width) for kind, start, width in intervals
    ]
    after = rank(better, count + more, min(low + sharper, 1.0), was_adapted or adapted)
    assert after >= rank(intervals, count, low, was_adapted)


@given(studies())
def test_choose_decision_never_uses_a_model_whose_interval_crosses_a_limit(
    study: tuple[list[tuple[CriterionKind, float, float]], int, float, bool],
) -> None:
    intervals, count, low, adapted = study
    crosses = any(start <= 0.5 <= start + width for _, start, width in intervals)
    if crosses or count < 30:
        assert rank(intervals, count, low, adapted) < RANK[DecisionKind.USE]


@pytest.mark.parametrize("minimum", [0.75, 0.85, 0.95])
def test_needed_auroc_lets_a_threshold_reach_the_minimum_on_both_sides(minimum: float) -> None:
    distance = 2 * norm.ppf(minimum)
    scores = np.random.default_rng(0).normal(size=(2, 4000)) + np.array([[0.0], [distance]])
    auroc = float((scores[1][:, None] > scores[0][None, :]).mean())
    assert auroc == pytest.approx(needed_auroc(minimum), abs=0.01)
    assert (scores[1] > distance / 2).mean() == pytest.approx(minimum, abs=0.02)
    assert reachable_sensitivity(needed_auroc(minimum)) == pytest.approx(minimum)


def test_can_be_mended_needs_a_missed_criterion_and_is_on_wrong_side_a_value() -> None:
    assert not can_be_mended([SHOWN, OPEN], [GOOD])
    assert can_be_mended([CALIBRATION_MISSED], [])
    assert is_on_wrong_side(judged(SENSITIVITY, 0.6, 0.9))
    assert not is_on_wrong_side(judged(SENSITIVITY, 0.79, 0.9))
    assert not is_on_wrong_side(patients(3))
