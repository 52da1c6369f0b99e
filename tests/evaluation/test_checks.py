"""Predictions that cannot give an honest number are refused, each with a sentence that says why."""

from __future__ import annotations

from typing import Any

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.checks import check_predictions
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import Check
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions(hospitals=HOSPITALS[:2])


def changed(predictions: Predictions, where: int, **fields: Any) -> Predictions:
    rows = predictions.table.to_pylist()
    rows[where] |= fields
    return with_rows(predictions, rows)


def with_split(predictions: Predictions, **fields: Any) -> Predictions:
    about = predictions.provenance
    split = about.split.model_copy(update=fields)
    return Predictions(predictions.table, about.model_copy(update={"split": split}))


def test_sound_predictions_pass(predictions: Predictions) -> None:
    check_predictions(predictions)
    assert len(predictions.table) > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"truth": "A9C"}, "unknown view label: A9C"),
        ({"site": "elsewhere"}, "undescribed site: elsewhere"),
        ({"run": "stray"}, "undescribed run: stray"),
        ({"role": "train"}, "undescribed role: train"),
        ({"logits": [0.0, float("nan"), 0.0, 0.0]}, "not finite"),
    ],
)
def test_bad_rows_are_refused(predictions: Predictions, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        check_predictions(changed(predictions, 5, **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"certificate_sha256": ""}, "no leakage certificate"),
        ({"checks": ()}, "no leakage certificate"),
        (
            {"checks": (Check(name="patient_disjoint", status="fail", detail="x"),)},
            r"did not pass \(patient_disjoint\)",
        ),
        ({"source_sites": ("north", "east")}, "both source and held out: east"),
        ({"held_out_sites": ()}, "disagree on what was held out: site east"),
        ({"unit": "country"}, "splits by 'country'"),
    ],
)
def test_bad_splits_are_refused(predictions: Predictions, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate_predictions(with_split(predictions, **fields), replicates=100)


def test_nothing_scored_is_refused(predictions: Predictions) -> None:
    rows = [row | {"truth": "A3C"} for row in predictions.table.to_pylist()]
    with pytest.raises(EvaluationError, match="no test frame carries one of the scored views"):
        check_predictions(with_rows(predictions, rows))


def test_no_run_and_too_few_replicates_are_refused(predictions: Predictions) -> None:
    about = predictions.provenance.model_copy(update={"runs": ()})
    with pytest.raises(EvaluationError, match="name no run"):
        check_predictions(Predictions(predictions.table.slice(0, 0), about))
    with pytest.raises(EvaluationError, match="too few"):
        evaluate_predictions(predictions, replicates=10)


def test_runs_of_other_frames_truth_or_repeats_are_refused(predictions: Predictions) -> None:
    rows = predictions.table.to_pylist()
    mine = next(index for index, row in enumerate(rows) if row["role"] == "test" and row["truth"] == "PLAX")
    with pytest.raises(EvaluationError, match="not tested on the same frames"):
        evaluate_predictions(with_rows(predictions, rows[:mine] + rows[mine + 1 :]), replicates=100)
    with pytest.raises(EvaluationError, match="not tested on the same frames"):
        evaluate_predictions(changed(predictions, mine, truth="A4C"), replicates=100)
    with pytest.raises(EvaluationError, match="predicted twice"):
        evaluate_predictions(with_rows(predictions, [*rows, rows[mine]]), replicates=100)
