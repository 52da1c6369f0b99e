"""The whole evaluation against an independent computation from the rows, and the reasons for missing values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel
from sklearn.metrics import confusion_matrix, log_loss, recall_score, roc_auc_score

from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.evaluation.samples import digest
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.metrics_files import FoldMetrics, read_metrics, write_metrics
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import HOSPITALS, Hospital, make_predictions, with_rows


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions()


@pytest.fixture(scope="module")
def metrics(predictions: Predictions) -> Metrics:
    return evaluate_predictions(predictions, replicates=500)


def softmax(logits: list[float]) -> list[float]:
    powers = [math.exp(value) for value in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("site", range(4))
def test_evaluate_predictions_agrees_with_scikit_learn(
    predictions: Predictions, metrics: Metrics, run: int, site: int
) -> None:
    provenance, site_metrics = predictions.provenance, metrics.runs[run].sites[site]
    classes = list(provenance.classes)
    rows = [
        row
        for row in predictions.table.to_pylist()
        if (row["run"], row["site"], row["role"]) == (provenance.runs[run].run, provenance.sites[site].site, "test")
    ]
    scored = [row for row in rows if row["truth"] in classes]
    truth = [row["truth"] for row in scored]
    called = [classes[int(np.argmax(row["logits"]))] for row in scored]
    views = sorted(set(truth))
    assert site_metrics.confusion == tuple(map(tuple, confusion_matrix(truth, called, labels=classes).tolist()))
    assert site_metrics.balanced_accuracy.value == pytest.approx(
        recall_score(truth, called, labels=views, average="macro")
    )
    assert site_metrics.balanced_accuracy.clusters == len({row["patient"] for row in scored})
    assert site_metrics.calibration is not None
    expected = log_loss(
        [classes.index(view) for view in truth], [softmax(row["logits"]) for row in scored], labels=range(4)
    )
    assert site_metrics.calibration.nll.value == pytest.approx(expected)
    inside = [row["truth"] in classes for row in rows]
    if all(inside):
        assert site_metrics.open_set.auroc.value is None
    else:
        area = roc_auc_score(inside, [max(softmax(row["logits"])) for row in rows])
        assert site_metrics.open_set.auroc.value == pytest.approx(area)


def test_evaluate_predictions_intervals_contain_their_values(metrics: Metrics) -> None:
    checked = 0
    for run in metrics.runs:
        for site in run.sites:
            for item in (
                site.balanced_accuracy,
                site.clip_balanced_accuracy,
                site.macro_f1,
                *site.sensitivity.values(),
            ):
                if item.value is not None and item.low is not None and item.high is not None:
                    assert item.low <= item.value <= item.high
                    checked += 1
    assert checked > 40


def test_evaluate_predictions_of_missing_views_is_not_estimable(metrics: Metrics) -> None:
    south = metrics.runs[0].sites[2]
    assert metrics.sites[2].views.keys() == {"A4C", "A2C"}
    assert metrics.common_views == ("A4C", "A2C")
    assert south.sensitivity["PLAX"].value is None
    assert south.sensitivity["PLAX"].reason == "no frame of PLAX at this hospital"
    assert south.open_set.auroc.reason == "no test frame of another view at this hospital"
    assert south.balanced_accuracy.value == south.balanced_accuracy_common.value


def test_evaluate_predictions_flags_few_clusters(metrics: Metrics) -> None:
    assert [site.balanced_accuracy.few_clusters for site in metrics.runs[0].sites] == [False, False, False, True]
    assert metrics.sites[3].clusters == 9


def test_evaluate_predictions_fits_temperature_on_source_validation(predictions: Predictions, metrics: Metrics) -> None:
    held_out = [row | {"role": "validation"} for row in predictions.table.to_pylist() if row["site"] == "east"]
    extra = evaluate_predictions(
        with_rows(predictions, [*(r for r in predictions.table.to_pylist() if r["site"] != "east"), *held_out]),
        replicates=100,
    )
    assert metrics.runs[0].temperature.value is not None
    assert extra.runs[0].temperature == metrics.runs[0].temperature
    only_test = [row for row in predictions.table.to_pylist() if row["role"] == "test"]
    without = evaluate_predictions(with_rows(predictions, only_test), replicates=100).runs[0]
    assert without.temperature.reason == "no source validation frame of a scored view"
    assert without.sites[0].calibration_scaled is None


def test_evaluate_predictions_ignores_the_order_of_rows(predictions: Predictions, metrics: Metrics) -> None:
    rows = predictions.table.to_pylist()
    order = np.random.default_rng(0).permutation(len(rows))
    again = evaluate_predictions(with_rows(predictions, [rows[index] for index in order]), replicates=500)
    shuffled, straight = again.to_json(), metrics.to_json()
    for content in (shuffled, straight):
        del content["predictions_sha256"]
    assert flatten(shuffled) == pytest.approx(flatten(straight))


def flatten(content: Any) -> dict[str, Any]:
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        return {f"{key}/{rest}": leaf for key, value in items for rest, leaf in flatten(value).items()}
    return {"": content}


def test_evaluate_predictions_of_an_empty_site_and_of_one_patient(tmp_path: Path) -> None:
    alone = Hospital("lone", True, 1, ("PLAX", "PSAX"), (), (2.0, 2.0), ("Maker",))
    empty = Hospital("none", True, 3, (), ("A3C",), (2.0, 2.0), ("Maker",))
    metrics = evaluate_predictions(make_predictions(hospitals=[HOSPITALS[0], alone, empty]), replicates=100)
    lone, none = metrics.runs[0].sites[1:]
    assert lone.balanced_accuracy.value is not None
    assert lone.balanced_accuracy.low is None
    assert lone.balanced_accuracy.reason == "PLAX comes from only one patient; an interval needs two"
    assert none.balanced_accuracy.value is None
    assert metrics.sites[2].reason == none.balanced_accuracy.reason == "no test frame of a scored view at this hospital"
    assert metrics.comparisons[0].sites[1].p is None
    assert metrics.comparisons[0].sites[2].difference.value is None
    write_metrics(metrics, tmp_path / "metrics.json")
    assert read_metrics(tmp_path / "metrics.json") == metrics


def test_read_metrics_reads_what_was_written_and_refuses_others(metrics: Metrics, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics(metrics, path)
    assert read_metrics(path) == metrics
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"schema_version": 99}))
    with pytest.raises(EvaluationError, match="another schema version"):
        read_metrics(path)
    path.write_text(json.dumps(content | {"surprise": 1}))
    with pytest.raises(EvaluationError, match="damaged"):
        read_metrics(path)
    with pytest.raises(MissingInputError, match="no metrics file here"):
        read_metrics(tmp_path / "absent.json")


def test_digest_follows_the_content(predictions: Predictions, metrics: Metrics, tmp_path: Path) -> None:
    predictions.write(tmp_path / "predictions.parquet")
    assert digest(Predictions.read(tmp_path / "predictions.parquet")) == metrics.predictions_sha256
    rows = predictions.table.to_pylist()
    rows[0]["logits"][0] += 1
    assert digest(with_rows(predictions, rows)) != metrics.predictions_sha256


def models(kind: type[BaseModel], kinds: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if kind not in kinds:
        kinds.add(kind)
        for field in kind.model_fields.values():
            pending = [field.annotation]
            while pending:
                part = pending.pop()
                pending += get_args(part)
                if isinstance(part, type) and issubclass(part, BaseModel):
                    models(part, kinds)
    return kinds


def test_metrics_document_every_field() -> None:
    for kind in models(Metrics, models(FoldMetrics, set())):
        assert not [name for name, field in kind.model_fields.items() if not field.description], kind
