"""Predictions that cannot give valid metrics are refused with an error that names the reason."""

from __future__ import annotations

from typing import Any

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.evaluate import check_predictions, evaluate_predictions
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
    provenance = predictions.provenance
    split = provenance.split.model_copy(update=fields)
    return Predictions(predictions.table, provenance.model_copy(update={"split": split}))


def test_check_predictions_accepts_valid_predictions(predictions: Predictions) -> None:
    check_predictions(predictions)
    assert len(predictions.table) > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"truth": "A9C"}, "unknown view label: A9C"),
        ({"site": "elsewhere"}, "unknown site: elsewhere"),
        ({"run": "stray"}, "unknown run: stray"),
        ({"role": "train"}, "unknown role: train"),
        ({"logits": [0.0, float("nan"), 0.0, 0.0]}, "not finite"),
    ],
)
def test_check_predictions_refuses_bad_rows(predictions: Predictions, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        check_predictions(changed(predictions, 5, **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"certificate_sha256": ""}, "no leakage certificate"),
        ({"checks": ()}, "no leakage certificate"),
        (
            {"checks": (Check(name="patient_disjoint", status="fail", detail="x"),)},
            r"failed checks \(patient_disjoint\)",
        ),
        ({"source_sites": ("north", "east")}, "both source and held out: east"),
        ({"held_out_sites": ()}, "disagree on whether this site is held out: site east"),
        ({"unit": "country"}, "splits by 'country'"),
    ],
)
def test_evaluate_predictions_refuses_bad_splits(
    predictions: Predictions, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate_predictions(with_split(predictions, **fields), replicates=100)


def test_check_predictions_refuses_files_without_a_scored_frame(predictions: Predictions) -> None:
    rows = [row | {"truth": "A3C"} for row in predictions.table.to_pylist()]
    with pytest.raises(EvaluationError, match="no test frame has a label of a scored view"):
        check_predictions(with_rows(predictions, rows))


def test_check_predictions_refuses_files_without_a_run(predictions: Predictions) -> None:
    provenance = predictions.provenance.model_copy(update={"runs": ()})
    with pytest.raises(EvaluationError, match="contain no run"):
        check_predictions(Predictions(predictions.table.slice(0, 0), provenance))
    with pytest.raises(EvaluationError, match="too few"):
        evaluate_predictions(predictions, replicates=10)


def test_evaluate_predictions_refuses_runs_of_different_frames(predictions: Predictions) -> None:
    rows = predictions.table.to_pylist()
    position = next(index for index, row in enumerate(rows) if row["role"] == "test" and row["truth"] == "PLAX")
    with pytest.raises(EvaluationError, match="not tested on the same frames"):
        evaluate_predictions(with_rows(predictions, rows[:position] + rows[position + 1 :]), replicates=100)
    with pytest.raises(EvaluationError, match="not tested on the same frames"):
        evaluate_predictions(changed(predictions, position, truth="A4C"), replicates=100)
    with pytest.raises(EvaluationError, match="predicted twice"):
        evaluate_predictions(with_rows(predictions, [*rows, rows[position]]), replicates=100)
