"""The number of labeled patients that decides: by estimate, by pilot and by assumption; its power by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from heart2heart.evaluation.contrasts import combine_contrasts
from heart2heart.evaluation.criteria_estimates import CriteriaEstimates, Measured, add_independent
from heart2heart.evaluation.criteria_statistics import Question, questions_of
from heart2heart.evaluation.decision import judge_limit
from heart2heart.evaluation.intervals import not_estimable
from heart2heart.evaluation.labels_to_decide import (
    PatientCounts,
    assumed_projection,
    judge_counts,
    judge_measured,
    more_patients,
)
from heart2heart.evaluation.patients_to_decide import assumed_share, fewest_patients, project_contrast
from heart2heart.evaluation.planning import StudyDesign, accuracy_contrast, simulate_hospital
from heart2heart.evaluation.simultaneous import NO_FAMILY, make_family
from heart2heart.schema.criteria import Criteria
from heart2heart.schema.decision import CriterionKind, CriterionResult, DecisionKind, JudgedCriterion, Ranking
from heart2heart.schema.site_metrics import Estimate

QUESTION = Question(CriterionKind.BALANCED_ACCURACY, None, 0.8)
COUNTS = PatientCounts(all=20, rarest=8)
EACH = 0.95


def criteria(**keys: object) -> Criteria:
    return Criteria.parse({"question": "Use?", "written_by": "AB", "balanced_accuracy": 80} | keys, where="test")


def estimates(pilot: float | None = None) -> CriteriaEstimates:
    projection = None if pilot is None else project_contrast(assumed_share(pilot, "pilot"), "pilot", EACH)
    pilots = {"model": {QUESTION: projection}} if projection else {}
    return CriteriaEstimates(measured={}, pilot=pilots, pilot_patients=10, each=EACH, intervals=1)


def unshown(needed: int | None, *, value: float = 0.85, kind: CriterionKind = QUESTION.kind) -> JudgedCriterion:
    estimate = Estimate(value=value, low=0.7, high=0.95, n=60, clusters=20, few_clusters=True)
    result = CriterionResult.NOT_SHOWN
    return JudgedCriterion(kind=kind, limit=0.8, estimate=estimate, result=result, patients_needed=needed)


def missed(kind: CriterionKind = CriterionKind.SENSITIVITY) -> JudgedCriterion:
    return JudgedCriterion(kind=kind, class_name="A4C", limit=0.8, result=CriterionResult.MISSED)


def too_few(needed: int | None) -> JudgedCriterion:
    result = CriterionResult.NOT_SHOWN
    return JudgedCriterion(kind=CriterionKind.PATIENTS, limit=30, count=20, result=result, patients_needed=needed)


def needed(
    kind: DecisionKind, judged: list[JudgedCriterion], rankings: list[Ranking] | None = None, *, adapted: bool = False
) -> int | None:
    return more_patients(
        kind, judged, rankings or [], adapted=adapted, counts=COUNTS, limits=criteria(patients=30), each=EACH
    )


@pytest.mark.parametrize(
    ("judged", "more"),
    [
        ([unshown(50)], 30),
        ([unshown(50), unshown(90)], 70),
        ([unshown(50), unshown(None)], None),
        ([unshown(50), too_few(30)], 30),
        ([too_few(None)], None),
        ([unshown(50), unshown(60, value=0.75)], 40),
        ([unshown(50), unshown(None, value=0.75)], None),
        ([unshown(40, value=0.75), unshown(60, value=0.75)], 20),
        ([missed(), too_few(30), unshown(90)], 10),
        ([unshown(20)], 1),
    ],
)
def test_more_patients_takes_all_on_the_right_side_and_one_on_the_wrong(
    judged: list[JudgedCriterion], more: int | None
) -> None:
    assert needed(DecisionKind.LABEL, judged) == more


def test_more_patients_is_zero_where_the_decision_is_made() -> None:
    assert needed(DecisionKind.USE, []) == 0
    assert needed(DecisionKind.REFUSE, [missed()]) == 0
    assert needed(DecisionKind.ADAPT, [unshown(50)], adapted=True) == 0


def test_more_patients_after_a_recalibration_is_that_of_its_test() -> None:
    good, better = (Ranking(class_name="A4C", auroc=auroc, low=0.9, needed=0.88) for auroc in (0.95, 0.99))
    first, second = (needed(DecisionKind.ADAPT, [missed()], [ranking]) for ranking in (good, better))
    assert first is not None
    assert second is not None
    assert first > second >= 30
    assert needed(DecisionKind.ADAPT, [missed(CriterionKind.CALIBRATION)]) is not None


def test_judge_counts_never_misses() -> None:
    limits = criteria(patients=30, patients_of_rarest_class=10)
    results = [criterion.result for criterion in judge_counts(limits, PatientCounts(all=30, rarest=10))]
    assert results == [CriterionResult.MET] * 2
    none = judge_counts(limits, PatientCounts(all=0, rarest=0))
    assert [(each.result, each.by_assumption) for each in none] == [(CriterionResult.NOT_SHOWN, True)] * 2
    assert judge_counts(criteria(), COUNTS) == []


def test_judge_measured_without_an_estimate_uses_the_pilot_then_assumptions() -> None:
    nothing = Measured(QUESTION, not_estimable("no frame"), None)
    by_pilot = judge_measured(nothing, "model", estimates(0.95), criteria(), COUNTS)
    assumed = judge_measured(nothing, "model", estimates(), criteria(), COUNTS)
    assert by_pilot.by_assumption
    assert assumed.by_assumption
    assert by_pilot.patients_needed is not None
    assert assumed.patients_needed is not None
    assert 20 < by_pilot.patients_needed < assumed.patients_needed  # 90 % is assumed
    capped = judge_measured(nothing, "model", estimates(0.801), criteria(most_patients=100), COUNTS)
    assert capped.patients_needed is None


@pytest.mark.parametrize("kind", [kind for kind in CriterionKind if "patients" not in kind])
def test_assumed_projection_decides_every_criterion_in_the_end(kind: CriterionKind) -> None:
    low, high = assumed_projection(Question(kind, "A4C", 0.1), EACH).widened(1e6, 0.5)
    assert judge_limit(kind, 0.1, low, high) is CriterionResult.MET


def test_fewest_patients_decide_with_the_stated_power() -> None:
    design = StudyDesign(accuracy=(0.9, 0.9), prevalence=(1.0, 1.0), frames=4.0, correlation=0.2)
    generator = np.random.default_rng(1)
    correct, rows = simulate_hospital(generator, design, 6000, 1)
    pilot = accuracy_contrast(correct[0], rows[0], "hospital")
    assert pilot is not None
    limit = pilot.value - 0.06
    patients = fewest_patients(
        project_contrast(pilot, "hospital", EACH),
        lambda low, _: low > limit,
        patients=6000,
        power=0.8,
        least=2,
        most=400,
    )
    assert patients is not None
    correct, rows = simulate_hospital(generator, design, patients, 800)
    shown = 0
    for study in range(800):
        contrast = accuracy_contrast(correct[study], rows[study], "hospital")
        assert contrast is not None
        shown += contrast.interval(EACH)[0] > limit
    assert shown / 800 == pytest.approx(0.8, abs=0.07)


def test_add_independent_is_at_least_as_wide_as_the_family() -> None:
    shares = [assumed_share(0.8, site) for site in ("north", "south")]
    family = make_family([*shares, combine_contrasts(shares, [0.5, 0.5])])
    wider = add_independent(family, 2)
    assert (wider.tests, add_independent(family, 0)) == (5, family)
    assert wider.each > family.each
    assert add_independent(NO_FAMILY, 1).each == 0.95
    sidak = 0.95 ** (1 / 4)
    assert add_independent(make_family(shares), 2).each == pytest.approx(sidak, abs=0.002)


def test_questions_of_takes_one_number_for_every_class() -> None:
    questions = questions_of(criteria(sensitivity=70, loss=5), ["A", "B"], 0.05)
    assert [(str(each.kind), each.class_name) for each in questions] == [
        ("balanced_accuracy", None),
        ("sensitivity", "A"),
        ("sensitivity", "B"),
        ("loss", None),
    ]
