"""Checks of the rows alone, and the hash that binds a certificate to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from heart2heart.schema.prediction_checks import row_checks, rows_sha256
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import Check
from heart2heart.schema.validation import ROW_CHECKS
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows

EAST = HOSPITALS[1:2]


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    predictions = make_predictions(hospitals=EAST)
    rows = [row for row in predictions.table.to_pylist() if row["run"] == "fix-0"]
    return with_rows(predictions, rows)


def changed(predictions: Predictions, **fields: Any) -> Predictions:
    return with_rows(predictions, [row | fields for row in predictions.table.to_pylist()])


def check(predictions: Predictions, name: str) -> Check:
    checks = row_checks(predictions, ["east"])
    assert tuple(one.name for one in checks) == ROW_CHECKS
    return checks[ROW_CHECKS.index(name)]


def test_row_checks_pass_where_nothing_is_wrong(predictions: Predictions) -> None:
    assert [one.status for one in row_checks(predictions, ["east"])] == ["pass"] * 4


def test_row_checks_find_a_case_with_two_rows(predictions: Predictions) -> None:
    rows = predictions.table.to_pylist()
    twice = check(with_rows(predictions, [*rows, rows[0]]), "cases_unique")
    assert (twice.status, rows[0]["frame"] in twice.detail) == ("fail", True)


def test_row_checks_find_a_truth_that_was_copied(predictions: Predictions) -> None:
    classes = predictions.provenance.classes
    rows = predictions.table.to_pylist()
    copied = [row | {"logits": [30.0 * (name == row["truth"]) for name in classes]} for row in rows]
    assert check(with_rows(predictions, copied), "truth_independent").status == "fail"
    first = next(row for row in copied if row["truth"] in classes)
    first["logits"] = [-value for value in first["logits"]]  # one error: decisions, but not copied
    assert check(with_rows(predictions, copied), "truth_independent").status == "warn"


def test_row_checks_name_absent_classes_and_few_patients(predictions: Predictions) -> None:
    absent = check(changed(predictions, truth="PLAX"), "classes_present")
    assert (absent.status, absent.detail) == ("warn", "east has no PSAX, A4C, A2C: not estimable there")
    one = check(changed(predictions, patient="p"), "test_patients")
    assert one.detail == "fewer than two patients at east: no interval can be estimated there"
    rows = predictions.table.to_pylist()
    patients = sorted({row["patient"] for row in rows})[:5]
    few = check(with_rows(predictions, [row for row in rows if row["patient"] in patients]), "test_patients")
    assert few.detail == "fewer than 30 patients at east (5)"


@pytest.mark.parametrize(
    "fields", [{"truth": "A4C"}, {"logits": [0.0, 1.0, 0.0, 0.0]}, {"patient": "x"}, {"site": "west"}, {"maker": None}]
)
def test_rows_sha256_depends_on_every_row(predictions: Predictions, fields: dict[str, Any]) -> None:
    rows = predictions.table.to_pylist()
    index = next(position for position, row in enumerate(rows) if row["truth"] == "PLAX")
    rows[index] = rows[index] | fields
    assert rows_sha256(with_rows(predictions, rows)) != rows_sha256(predictions)


def test_rows_sha256_survives_writing_and_reading(predictions: Predictions, tmp_path: Path) -> None:
    predictions.write(tmp_path / "p.parquet")
    assert rows_sha256(Predictions.read(tmp_path / "p.parquet")) == rows_sha256(predictions)
    assert rows_sha256(changed(predictions, image=None)) == rows_sha256(predictions)


def test_rows_sha256_does_not_depend_on_how_the_table_lies_in_memory(predictions: Predictions) -> None:
    table, rows = predictions.table, predictions.table.to_pylist()
    part = Predictions(table.slice(5, 20), predictions.provenance)
    assert rows_sha256(part) == rows_sha256(with_rows(predictions, rows[5:25]))
    chunks = Predictions(pa.concat_tables([table.slice(0, 7), table.slice(7)]), predictions.provenance)
    assert rows_sha256(chunks) == rows_sha256(predictions)
    nothing = Predictions(table.slice(0, 0), predictions.provenance)
    assert rows_sha256(nothing) != rows_sha256(part)
