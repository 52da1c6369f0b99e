"""Decisions from counts: those of the rows where nothing is hidden, and none that a hidden class would flatter."""

from __future__ import annotations

import pytest

from heart2heart.errors import EvaluationError, UnknownNameError
from heart2heart.evaluation.counted_criteria import NEEDS_ROWS
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.evaluation.hospital_decisions import make_decision
from heart2heart.evaluation.pooled_decision import make_pooled_decision
from heart2heart.evaluation.pooling import pool_counts
from heart2heart.evaluation.release import release_counts
from heart2heart.schema.criteria import Criteria
from heart2heart.schema.decision import CriterionKind, CriterionResult, DecisionKind
from heart2heart.schema.pooled import PooledMetrics
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import make_predictions, with_rows
from tests.evaluation.test_release import OPEN


def criteria(**keys: object) -> Criteria:
    return Criteria.parse({"question": "Use?", "written_by": "AB"} | keys, where="test")


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions(hospitals=OPEN, seeds=(0, 1))


@pytest.fixture(scope="module")
def pooled(predictions: Predictions) -> PooledMetrics:
    return pool_counts(release_counts(predictions))


@pytest.mark.parametrize(
    "keys",
    [
        {"balanced_accuracy": 45, "patients": 30},
        {"sensitivity": {"A4C": 40, "A2C": 90}},
        {"loss": 20, "balanced_accuracy": 50},
        {"balanced_accuracy": 97, "interval": "separate"},
    ],
    ids=["accuracy", "sensitivity", "loss", "separate"],
)
def test_make_pooled_decision_is_that_of_the_rows(
    predictions: Predictions, pooled: PooledMetrics, keys: dict[str, object]
) -> None:
    of_rows = make_decision(predictions, evaluate_predictions(predictions, replicates=100), criteria(**keys))
    of_counts = make_pooled_decision(pooled, criteria(**keys))
    assert of_counts.intervals == of_rows.intervals
    assert of_counts.each == pytest.approx(of_rows.each, abs=2e-3)
    for one, other in zip(of_counts.hospitals, of_rows.hospitals, strict=True):
        assert (one.site, one.patients) == (other.site, other.patients)
        for left, right in zip(one.criteria, other.criteria, strict=True):
            assert (left.kind, left.class_name, left.result) == (right.kind, right.class_name, right.result)
            if left.estimate and right.estimate:
                for end in ("value", "low", "high"):
                    assert getattr(left.estimate, end) == pytest.approx(getattr(right.estimate, end), abs=5e-3)


def test_make_pooled_decision_does_not_show_what_needs_rows(pooled: PooledMetrics) -> None:
    record = make_pooled_decision(pooled, criteria(calibration=10, unknown_classes_auroc=70))
    for decision in record.hospitals:
        assert decision.decision == DecisionKind.LABEL
        for criterion in decision.criteria:
            assert criterion.result == CriterionResult.NOT_SHOWN
            assert criterion.estimate is not None
            assert NEEDS_ROWS in (criterion.estimate.reason or "")


def test_make_pooled_decision_shows_no_mean_that_leaves_out_a_hidden_class(predictions: Predictions) -> None:
    keys = {"balanced_accuracy": 10, "sensitivity": {"A4C": 10, "A2C": 10}, "loss": 90}
    rows = predictions.table.to_pylist()
    patients = sorted({row["patient"] for row in rows if row["site"] == "east"})
    kept = [row for row in rows if row["site"] != "east" or row["truth"] != "A4C" or row["patient"] in patients[:3]]
    pooled = pool_counts(release_counts(with_rows(predictions, kept)))
    record = make_pooled_decision(pooled, criteria(**keys))
    east, west = record.hospitals
    assert [criterion.result for criterion in west.criteria] == [CriterionResult.MET] * 4
    assert {(criterion.kind, criterion.class_name): criterion.result for criterion in east.criteria} == {
        (CriterionKind.BALANCED_ACCURACY, None): CriterionResult.NOT_SHOWN,
        (CriterionKind.SENSITIVITY, "A4C"): CriterionResult.NOT_SHOWN,
        (CriterionKind.SENSITIVITY, "A2C"): CriterionResult.MET,
        (CriterionKind.LOSS, None): CriterionResult.NOT_SHOWN,
    }
    assert "A4C is hidden" in (east.criteria[0].estimate.reason or "" if east.criteria[0].estimate else "")
    assert (east.decision, west.decision) == (DecisionKind.LABEL, DecisionKind.USE)


def test_make_pooled_decision_refuses_what_the_counts_do_not_have(pooled: PooledMetrics) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'x'"):
        make_pooled_decision(pooled, criteria(balanced_accuracy=50, method="x"))
    with pytest.raises(EvaluationError, match="source of the training"):
        make_pooled_decision(pooled, criteria(balanced_accuracy=50, hospitals=["north"]))
    alone = pool_counts([counts for counts in pooled.counts if counts.held_out])
    with pytest.raises(EvaluationError, match="no scored frame of a source"):
        make_pooled_decision(alone, criteria(loss=5))
