"""Decisions from predictions: each of the four, the reasons, the numbers of patients, and contradicting criteria."""

from __future__ import annotations

import pytest

from heart2heart.errors import EvaluationError, UnknownNameError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.evaluation.hospital_decisions import make_decision
from heart2heart.schema.criteria import Criteria, CriteriaRegistration, IntervalKind
from heart2heart.schema.decision import CriterionKind, CriterionResult, DecisionKind, DecisionRecord
from heart2heart.schema.margin import RegisteredMargin
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from tests.evaluation.decision_studies import hospital, one_method, scored, shifted, with_adapted
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows

Scored = tuple[Predictions, Metrics]


def criteria(**keys: object) -> Criteria:
    return Criteria.parse({"question": "Use?", "written_by": "AB"} | keys, where="test")


@pytest.fixture(scope="module")
def study() -> Scored:
    """Return a good hospital, one whose A4C is always missed although it ranks well, a bad one, and a small one."""
    predictions = one_method(
        hospital("good", 6.0), hospital("mute", 6.0), hospital("bad", 0.6), hospital("small", 5.0, patients=6)
    )
    return scored(shifted(predictions, "mute", "A4C", -40.0))


@pytest.fixture(scope="module")
def record(study: Scored) -> DecisionRecord:
    return make_decision(*study, criteria(balanced_accuracy=70, sensitivity=70, patients=30))


def test_make_decision_takes_each_of_the_four(record: DecisionRecord) -> None:
    kinds = {decision.site: decision.decision for decision in record.hospitals}
    assert kinds == {
        "good": DecisionKind.USE,
        "mute": DecisionKind.ADAPT,
        "bad": DecisionKind.REFUSE,
        "small": DecisionKind.LABEL,
    }
    more = {decision.site: decision.more_patients for decision in record.hospitals}
    assert (more["good"], more["bad"]) == (0, 0)
    assert more["small"] is not None
    assert more["small"] >= 24  # 30 patients are the minimum, and 6 are labeled
    assert more["mute"] is not None
    assert more["mute"] >= 30


def test_make_decision_is_about_the_model_that_the_last_one_was_adapted_from() -> None:
    predictions = make_predictions()
    first, last = (predictions.provenance.runs[index] for index in (0, -1))
    assert first.method != last.method
    facts = first.facts.model_copy(update={"adaptation": "batch statistics"})
    adapted = first.model_copy(update={"run": "adapted", "method": f"{first.method}, adapted", "facts": facts})
    rows = predictions.table.to_pylist()
    copied = [{**row, "run": "adapted"} for row in rows if row["run"] == first.run]
    provenance = predictions.provenance.model_copy(update={"runs": (*predictions.provenance.runs, adapted)})
    study = scored(with_rows(Predictions(predictions.table, provenance), [*rows, *copied]))
    assert make_decision(*study, criteria(balanced_accuracy=70)).method == first.method
    assert make_decision(*scored(predictions), criteria(balanced_accuracy=70)).method == last.method


def test_make_decision_gives_its_reasons_with_numbers(record: DecisionRecord) -> None:
    reasons = {decision.site: decision.reason for decision in record.hospitals}
    assert reasons["good"].startswith("All 6 criteria are shown: balanced accuracy ")
    assert "sensitivity of A4C 0.0 % (0.0 to " in reasons["mute"]
    assert "the ranking is good (AUROC of A4C " in reasons["mute"]
    assert "recalibration is not shown to mend it" in reasons["bad"]
    assert reasons["small"].startswith("Not shown yet: ")


def test_make_decision_agrees_with_its_own_intervals(record: DecisionRecord) -> None:
    for decision in record.hospitals:
        results = {criterion.result for criterion in decision.criteria}
        assert (decision.decision is DecisionKind.USE) == (results == {CriterionResult.MET})
        for criterion in decision.criteria:
            if criterion.estimate is not None and criterion.estimate.low is not None:
                crosses = criterion.estimate.low <= criterion.limit <= (criterion.estimate.high or 0.0)
                assert (criterion.result is CriterionResult.NOT_SHOWN) == crosses
    assert record.intervals == 4 * 5
    assert 0.99 < record.each < 0.999


def test_make_decision_widens_intervals_for_all_criteria_at_once(study: Scored, record: DecisionRecord) -> None:
    separate = make_decision(*study, criteria(balanced_accuracy=70, sensitivity=70, interval="separate"))
    assert separate.each == 0.95
    assert separate.claim.criteria.interval is IntervalKind.SEPARATE
    one = study[1].methods[-1].sites[1].balanced_accuracy
    for decisions, same in ((separate, True), (record, False)):
        estimate = decisions.hospitals[0].criteria[0].estimate
        assert estimate is not None
        assert estimate.value == one.value
        assert ((estimate.low, estimate.high) == (one.low, one.high)) == same


def test_make_decision_takes_an_adapted_model_that_meets_all(study: Scored) -> None:
    predictions, _ = study
    adapted = shifted(predictions, "mute", "A4C", 40.0)
    both = scored(with_adapted(predictions, adapted))
    record = make_decision(*both, criteria(sensitivity=70, hospitals=["mute", "bad"], unknown_classes_auroc=20))
    mute, bad = record.hospitals
    assert record.method == predictions.provenance.runs[0].method
    assert (mute.decision, mute.more_patients) == (DecisionKind.ADAPT, 0)
    assert mute.adapted_method == "fixmatch + Fix-A-Step, adapted"
    assert "adapted to this hospital" in mute.reason
    assert (bad.decision, bad.adapted_method) == (DecisionKind.REFUSE, None)
    itself = make_decision(*both, criteria(sensitivity=70, hospitals=["mute"], method=mute.adapted_method))
    assert itself.hospitals[0].decision is DecisionKind.USE


def test_make_decision_judges_loss_calibration_and_unknown_classes(study: Scored) -> None:
    record = make_decision(
        *study, criteria(loss=15, calibration=20, unknown_classes_auroc=99, hospitals=["good", "bad"])
    )
    by_kind = {criterion.kind: criterion for criterion in record.hospitals[0].criteria}
    loss, calibration, unknown = (
        by_kind[kind].estimate
        for kind in (CriterionKind.LOSS, CriterionKind.CALIBRATION, CriterionKind.UNKNOWN_CLASSES)
    )
    assert loss is not None
    assert calibration is not None
    assert unknown is not None
    gap = study[1].methods[-1].generalisation.gaps[0]
    assert loss.value == gap.gap.value
    rows = study[1].runs[0].sites[1].reliability
    total = sum(each.n for each in rows)
    overconfidence = sum(each.n * (each.confidence - each.accuracy) for each in rows) / total
    assert calibration.value == pytest.approx(overconfidence, abs=1e-9)
    assert unknown.value == study[1].runs[0].sites[1].open_set.auroc.value
    bad = record.hospitals[1]
    assert bad.criteria[-1].result is CriterionResult.MISSED
    assert bad.decision is DecisionKind.REFUSE
    assert "recalibration cannot mend the separation from unknown classes" in bad.reason


def test_make_decision_without_an_estimate_counts_patients_by_the_source() -> None:
    study = scored(one_method(hospital("part", 6.0, views=("A4C", "A2C"))))
    record = make_decision(*study, criteria(sensitivity=70))
    decision = record.hospitals[0]
    absent = [criterion for criterion in decision.criteria if criterion.class_name in ("PLAX", "PSAX")]
    assert decision.decision is DecisionKind.LABEL
    assert all(criterion.by_assumption and criterion.patients_needed for criterion in absent)
    assert "no patient with PLAX" in decision.reason
    shown = make_decision(*study, criteria(sensitivity={"A4C": 60}))
    assert shown.hospitals[0].decision is DecisionKind.USE


def test_make_decision_without_a_scored_frame_counts_patients_by_the_source_or_by_assumption() -> None:
    predictions = one_method(hospital("empty", 6.0, patients=2))
    rows = [{**row, "truth": None if row["site"] == "empty" else row["truth"]} for row in predictions.table.to_pylist()]
    study = scored(with_rows(predictions, rows))
    limits = criteria(balanced_accuracy=70, loss=20, calibration=20, unknown_classes_auroc=60)
    decision = make_decision(*study, limits).hospitals[0]
    assert (decision.decision, decision.patients) == (DecisionKind.LABEL, 0)
    assert all(criterion.by_assumption for criterion in decision.criteria)
    needed = [criterion.patients_needed for criterion in decision.criteria if criterion.patients_needed]
    assert len(needed) == 4
    assert decision.more_patients == max(needed)


def test_make_decision_says_more_than_the_most_patients(study: Scored) -> None:
    record = make_decision(*study, criteria(sensitivity={"A4C": 77}, hospitals=["small"], most_patients=8))
    assert record.hospitals[0].more_patients is None


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"sensitivity": {"A5X": 80}}, UnknownNameError, "unknown class 'A5X'.*Known: A2C, A4C"),
        ({"hospitals": ["nowhere"], "loss": 5}, UnknownNameError, "unknown hospital 'nowhere'"),
        ({"hospitals": ["north"], "loss": 5}, EvaluationError, "source of the training"),
        ({"method": "GPT", "loss": 5}, UnknownNameError, "unknown model 'GPT'"),
        ({"loss": "registered"}, EvaluationError, "registered margin, and there is none"),
    ],
)
def test_make_decision_refuses_criteria_that_contradict_the_predictions(
    study: Scored, keys: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_decision(*study, criteria(**keys))


def test_make_decision_takes_the_registered_margin_and_refuses_another(study: Scored) -> None:
    predictions, _ = study
    margin = RegisteredMargin(margin=12, question="?", registered_by="AB", registered="2030-01-01T00:00:00+00:00")
    metrics = evaluate_predictions(predictions, replicates=100, margin=margin)
    record = make_decision(predictions, metrics, criteria(loss="registered"))
    assert record.loss_limit == 0.12
    assert record.claim.margin_sha256 == margin.digest()
    with pytest.raises(EvaluationError, match="contradicts the registered margin of 12 points"):
        make_decision(predictions, metrics, criteria(loss=5))
    late = margin.model_copy(update={"registered": "2040-01-01T00:00:00+00:00"})
    metrics = evaluate_predictions(predictions, replicates=100, margin=late)
    notes = make_decision(predictions, metrics, criteria(loss="registered")).notes
    assert any("margin was registered after" in note for note in notes)


def test_make_decision_needs_a_source_for_a_loss_and_a_hospital_to_decide_on() -> None:
    source = HOSPITALS[0]
    with pytest.raises(EvaluationError, match="nothing to decide"):
        make_decision(*scored(one_method()), criteria(balanced_accuracy=80))
    predictions = one_method(hospital("good", 6.0))
    rows = [row for row in predictions.table.to_pylist() if row["site"] != source.name or row["role"] != "test"]
    bare = Predictions(predictions.table.from_pylist(rows, schema=predictions.table.schema), predictions.provenance)
    with pytest.raises(EvaluationError, match="no scored frame of a source"):
        make_decision(*scored(bare), criteria(loss=5))


def test_make_decision_notes_when_criteria_came_after_the_result(study: Scored) -> None:
    chosen = criteria(balanced_accuracy=70)
    for time, late in (("2030-01-01T00:00:00+00:00", False), ("2040-01-01T00:00:00+00:00", True)):
        registration = CriteriaRegistration(registered=time, sha256=chosen.content_sha256())
        record = make_decision(*study, chosen.model_copy(update={"registration": registration}))
        assert record.claim.after_look is late
        assert ("written after the result" in record.notes[0]) is late
        assert record.hospitals[0].decision is DecisionKind.USE
