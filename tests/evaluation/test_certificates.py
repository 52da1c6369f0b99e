"""Certificates of splits are verified from the predictions; tests/api/test_validation.py forges others."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.certificates import certified_checks, check_certificate, read_certified
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import ACCESS_CHECK, REQUIRED_CHECKS, Certificate, Check
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return make_predictions(hospitals=HOSPITALS[:2])


def certified(predictions: Predictions, checks: tuple[Check, ...], *extra: Check) -> Predictions:
    """Return predictions whose stated hash is that of the checks."""
    split = predictions.provenance.split
    digest = Certificate(split_sha256=split.sha256, checks=checks).digest()
    changed = split.model_copy(update={"checks": (*checks, *extra), "certificate_sha256": digest})
    return Predictions(predictions.table, predictions.provenance.model_copy(update={"split": changed}))


def test_check_certificate_allows_the_check_of_the_access_log(predictions: Predictions) -> None:
    checks = predictions.provenance.split.checks
    logged = certified(predictions, checks, Check(name=ACCESS_CHECK, status=CheckStatus.PASS, detail="once"))
    check_certificate(logged)
    assert certified_checks(logged) == checks
    assert {check.name for check in checks} == set(REQUIRED_CHECKS)


@pytest.mark.parametrize(
    ("kept", "added", "message"),
    [
        (slice(0), ["trust_me"], r"checks that no code runs \(trust_me\); it lacks checks"),
        (slice(None), ["trust_me"], r"checks that no code runs \(trust_me\)"),
        (slice(1, None), [], r"lacks checks \(patient_disjoint\)"),
        (slice(None), ["patient_disjoint"], "occurs twice"),
    ],
)
def test_check_certificate_wants_exactly_the_checks_of_the_code(
    predictions: Predictions, kept: slice, added: list[str], message: str
) -> None:
    checks = predictions.provenance.split.checks[kept]
    forged = tuple(Check(name=name, status=CheckStatus.PASS, detail="believe me") for name in added)
    with pytest.raises(EvaluationError, match=message):
        check_certificate(certified(predictions, (*checks, *forged)))


def test_check_certificate_finds_a_patient_of_the_rows_in_validation_and_test(predictions: Predictions) -> None:
    rows = predictions.table.to_pylist()
    patient = next(row["patient"] for row in rows if row["role"] == "validation")
    tested = next(row for row in rows if row["role"] == "test" and row["site"] == "north")
    tested["patient"] = patient
    with pytest.raises(EvaluationError, match="1 x patient of its rows are both in validation and in test"):
        check_certificate(with_rows(predictions, rows))


def test_read_certified_reads_a_file_or_a_folder(predictions: Predictions, tmp_path: Path) -> None:
    predictions.write(tmp_path / "predictions.parquet")
    for path in (tmp_path, tmp_path / "predictions.parquet"):
        assert read_certified(path).provenance == predictions.provenance
    (tmp_path / "certificate.json").write_text("{}")
    with pytest.raises(EvaluationError, match="not that of the predictions"):
        read_certified(tmp_path)
