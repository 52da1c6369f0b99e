"""Hospitals and models with little or no data: metrics are "not estimable" with a reason, and never wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.metrics import Metrics, RunMetrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.site_metrics import SiteMetrics
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows

NORTH, EAST = HOSPITALS[:2]


def small(**changes: Any) -> Predictions:
    """Invent a source, and one held-out hospital with changes."""
    return make_predictions(hospitals=(dataclasses.replace(NORTH, patients=12), dataclasses.replace(EAST, **changes)))


def scored(predictions: Predictions) -> tuple[Metrics, RunMetrics, SiteMetrics]:
    metrics = evaluate_predictions(predictions, replicates=100)
    return metrics, metrics.runs[0], metrics.runs[0].sites[1]


def test_evaluate_predictions_of_a_hospital_with_one_view() -> None:
    metrics, _, east = scored(small(patients=6, views=("PLAX",), outside=()))
    assert east.balanced_accuracy.value == east.sensitivity["PLAX"].value
    assert east.sensitivity["A4C"].value is east.ppv["A4C"].value is east.auroc["PLAX"].value is None
    assert east.auroc["PLAX"].reason == "no frame of a view other than PLAX at this hospital"
    assert metrics.methods[0].generalisation.gaps[0].views == ("PLAX",)
    assert east.open_set.auroc.value is None


def test_evaluate_predictions_of_a_hospital_with_one_patient() -> None:
    metrics, _, east = scored(small(patients=1, outside=()))
    assert east.balanced_accuracy.value is not None
    assert east.balanced_accuracy.low is None
    assert east.balanced_accuracy.reason == "PLAX comes from only one patient; an interval needs two"
    general = metrics.methods[0].generalisation
    assert general.gaps[0].gap.low is general.mean.low is None
    assert general.worst_cell is None
    assert metrics.comparisons[0].sites[1].p is None


def test_evaluate_predictions_of_a_hospital_without_a_label() -> None:
    predictions = small(patients=4)
    rows = [row | ({"truth": None} if row["site"] == "east" else {}) for row in predictions.table.to_pylist()]
    metrics, _, east = scored(with_rows(predictions, rows))
    assert metrics.sites[1].reason == "no test frame of a scored view at this hospital"
    assert metrics.sites[1].unlabeled > 0
    assert east.balanced_accuracy.value is None
    assert east.calibration is None
    assert metrics.methods[0].generalisation.mean.value is None


def test_evaluate_predictions_of_a_constant_model() -> None:
    predictions = small(patients=6)
    rows = [row | {"logits": [1.0, 0.0, 0.0, 0.0]} for row in predictions.table.to_pylist()]
    _, run, east = scored(with_rows(predictions, rows))
    assert east.balanced_accuracy.value == pytest.approx(0.25)
    assert east.ppv["A4C"].value is None
    assert east.ppv["A4C"].reason == "no frame is predicted as A4C at this hospital"
    assert east.auroc["A4C"].value == 0.5
    assert (east.balanced_accuracy.low or 0.0) < 0.25 < (east.balanced_accuracy.high or 0.0)
    assert east.balanced_accuracy.rarest == 6
    assert run.temperature.reason is not None
    assert run.temperature.reason.startswith("at the limit of the search range")


def test_evaluate_predictions_without_source_validation() -> None:
    predictions = small(patients=6)
    _, run, east = scored(
        with_rows(predictions, [row for row in predictions.table.to_pylist() if row["role"] != "validation"])
    )
    assert run.temperature.value is None
    assert east.calibration_scaled is None
    assert east.label_shift is None
    assert run.temperature.reason == "no source validation frame of a scored view"
    assert east.selective is not None
    assert east.selective.threshold is east.selective.coverage.value is None


def test_evaluate_predictions_of_single_patients() -> None:
    predictions = small(patients=4)
    rows = [row | {"patient": f"{row['site']}-{row['role']}"} for row in predictions.table.to_pylist()]
    metrics, _, east = scored(with_rows(predictions, rows))
    assert east.balanced_accuracy.low is east.macro_f1.low is None
    assert all(site.clusters == 1 for site in metrics.sites)


def test_concat_refuses_other_classes_and_splits() -> None:
    predictions = small(patients=4)
    provenance = predictions.provenance
    renamed = tuple(run.model_copy(update={"run": f"other {run.run}"}) for run in provenance.runs)
    for name, value in {
        "classes": provenance.classes[::-1],
        "split": provenance.split.model_copy(update={"sha256": "0" * 64}),
    }.items():
        other = Predictions(predictions.table, provenance.model_copy(update={"runs": renamed, name: value}))
        with pytest.raises(EvaluationError, match=f"different {name}"):
            Predictions.concat([predictions, other])


def test_report_and_folds_refuse_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    small(patients=2).write(path)
    path.write_bytes(path.read_bytes()[:-100])
    for verb in (["report", str(path), "--out", str(tmp_path / "r.html")], ["folds", str(path)]):
        done = CliRunner().invoke(app, verb)
        assert isinstance(done.exception, EvaluationError | SystemExit)
        assert not (tmp_path / "r.html").exists()
