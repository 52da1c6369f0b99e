"""Cases: the clips of predictions, with the labels that there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cases import OUTSIDE, UNLABELED, cases_of_predictions
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import make_predictions


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions()


def test_cases_of_predictions_average_the_frames_of_a_clip(predictions: Predictions) -> None:
    cases = cases_of_predictions(predictions)
    table = predictions.table.filter(pc.equal(predictions.table["role"], PredictionRole.TEST))
    first_run = predictions.provenance.runs[0].run
    rows = table.filter(pc.and_(pc.equal(table["run"], first_run), pc.equal(table["clip"], cases.case[5])))
    mean = np.array(rows["logits"].to_pylist()).mean(0)
    expected = np.exp(mean - mean.max()) / np.exp(mean - mean.max()).sum()
    assert np.exp(cases.log_p[0, 5]) == pytest.approx(expected, abs=1e-5)
    assert rows["truth"][0].as_py() in (
        cases.classes[cases.truth[5]],
        *(["A3C", "OTHER"] if cases.truth[5] < 0 else []),
    )
    assert cases.source_sites == predictions.provenance.split.source_sites
    assert {OUTSIDE} <= set(cases.truth.tolist())


def test_cases_of_predictions_keep_clips_without_labels(predictions: Predictions) -> None:
    table = predictions.table
    nothing = table.set_column(table.column_names.index("truth"), "truth", pa.nulls(len(table), pa.string()))
    cases = cases_of_predictions(Predictions(nothing, predictions.provenance))
    assert set(cases.truth.tolist()) == {UNLABELED}
    assert len(cases) >= len(cases_of_predictions(predictions))


def test_cases_of_predictions_refuse_files_without_test_frames(predictions: Predictions) -> None:
    none = predictions.table.filter(pc.equal(predictions.table["role"], "no role"))
    with pytest.raises(EvaluationError, match="no test frame"):
        cases_of_predictions(Predictions(none, predictions.provenance))
    table = predictions.table
    runs = predictions.provenance.runs
    kept = pc.or_(pc.not_equal(table["run"], runs[1].run), pc.not_equal(table["frame"], table["frame"][0]))
    if pc.sum(pc.invert(kept)).as_py():
        with pytest.raises(EvaluationError, match="the same frames"):
            cases_of_predictions(Predictions(table.filter(kept), predictions.provenance))


def test_at_and_run_set_name_what_there_is(predictions: Predictions) -> None:
    cases = cases_of_predictions(predictions)
    there = cases.at("east")
    assert there.sites == ["east"]
    assert there.patient.max() + 1 == len(set(there.patient.tolist()))
    with pytest.raises(EvaluationError, match="Name one of: east, north"):
        cases.at("nowhere")
    assert cases.run_set(cases.run_sets[0].label) == cases.run_sets[0]
    with pytest.raises(EvaluationError, match="hold several methods"):
        cases.run_set()
    with pytest.raises(EvaluationError, match="no method 'best'"):
        cases.run_set("best")


def test_with_labels_replaces_the_truth(predictions: Predictions) -> None:
    cases = cases_of_predictions(predictions).at("east")
    names = cases.case.tolist()
    labeled = cases.with_labels({names[0]: cases.classes[1], names[1]: "unusable"})
    assert labeled.truth[:3].tolist() == [1, OUTSIDE, UNLABELED]
    with pytest.raises(EvaluationError, match="none of these cases has a label"):
        cases.with_labels({"another": "A4C"})
    with pytest.raises(EvaluationError, match="two hospitals use the same name"):
        replace(cases, case=np.full(len(cases), "c", object)).with_labels({"c": "A4C"})


def test_probabilities_are_those_of_the_mean_logarithm(predictions: Predictions) -> None:
    cases = cases_of_predictions(predictions)
    run_set = cases.run_sets[0]
    geometric = np.exp(cases.log_p[list(run_set.runs)].mean(0))
    expected = geometric / geometric.sum(1, keepdims=True)
    assert cases.probabilities(run_set) == pytest.approx(expected)
