"""Verifies the certificate that predictions carry, as far as they allow; a forged or altered one is refused.

The checks must be exactly those that the code runs, the stated hash must be that of the certificate, and what follows
from the rows is computed again. Checks against a store need the store: `heart2heart validate --check`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.prediction_checks import row_checks, rows_sha256
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import ACCESS_CHECK, LATER_CHECKS, REQUIRED_CHECKS, Certificate, Check
from heart2heart.schema.validation import (
    CERTIFICATE_FILE,
    TRAINING_CHECKS,
    VALIDATION_CHECKS,
    TrainingData,
    ValidationCertificate,
)
from heart2heart.utils import read_json

_REMEDY = "Run `heart2heart evaluate` or `heart2heart validate` again; a certificate is only valid as it was written"


def check_certificate(predictions: Predictions) -> None:
    """Refuse predictions whose certificate was forged, altered, or written for other rows.

    Raises:
        EvaluationError: The certificate lacks a check or has one that the code does not run; its hash is not the
            stated one; it belongs to other rows, hospitals or another split; or a check of the rows has another
            result.

    Examples:
        >>> check_certificate(Predictions.read("evaluation/predictions.parquet"))
    """
    certificate = predictions.provenance.validation
    if certificate is None:
        _check_split_certificate(predictions)
    else:
        _check_validation_certificate(predictions, certificate)


def read_certified(folder: str | Path) -> Predictions:
    """Read the predictions of an evaluation or a validation, and compare the certificate beside them.

    Args:
        folder: `predictions.parquet`, or its folder, whose `certificate.json` must be the same one.

    Raises:
        EvaluationError: the file beside them is another certificate than they carry.

    Examples:
        >>> read_certified("evaluation").provenance.split.name
        'split'
    """
    path = Path(folder)
    predictions = Predictions.read(path / "predictions.parquet" if path.is_dir() else path)
    beside = path / CERTIFICATE_FILE
    if path.is_dir() and beside.exists():
        certificate = predictions.provenance.validation
        if certificate is None or read_json(beside, what="certificate") != certificate.model_dump(mode="json"):
            remedy = "Validate again; a certificate is only valid as it was written"
            raise EvaluationError("this certificate is not that of the predictions", where=beside, remedy=remedy)
    return predictions


def certified_checks(predictions: Predictions) -> tuple[Check, ...]:
    """Return the checks of the certificate: those of the predictions without that of the log of test access."""
    return tuple(check for check in predictions.provenance.split.checks if check.name != ACCESS_CHECK)


def _check_split_certificate(predictions: Predictions) -> None:
    split = predictions.provenance.split
    checks = certified_checks(predictions)
    names = {check.name for check in checks}
    _require_names(checks, (*REQUIRED_CHECKS, *(name for name in LATER_CHECKS if name in names)))
    expected = Certificate(split_sha256=split.sha256, checks=checks).digest()
    if expected != split.certificate_sha256:
        raise _forged("its hash is not that of its checks and its split")
    table = predictions.table
    used = table.filter(pc.is_in(table["role"], pa.array([PredictionRole.VALIDATION, PredictionRole.TEST])))
    for column in ("patient", "study", "clip"):
        roles = used.group_by([column, "site"]).aggregate([("role", "count_distinct")])
        shared = roles.filter(pc.greater(roles["role_count_distinct"], 1))
        if len(shared):
            example = shared[column][0].as_py()
            raise _forged(f"{len(shared)} x {column} of its rows are both in validation and in test, e.g. {example}")


def _check_validation_certificate(predictions: Predictions, certificate: ValidationCertificate) -> None:
    provenance = predictions.provenance
    split = provenance.split
    _require_names(certificate.checks, VALIDATION_CHECKS)
    if certified_checks(predictions) != certificate.checks or split.certificate_sha256 != certificate.digest():
        raise _forged("its hash is not that of its checks")
    if certificate.rows_sha256 != rows_sha256(predictions):
        raise _forged("it belongs to other predictions")
    if split.sha256 != (certificate.manifest_sha256 or ""):
        raise _forged("it belongs to another training split")
    validated = {info.site for info in provenance.sites if info.site not in split.source_sites}
    if not validated <= set(certificate.sites) <= {info.site for info in provenance.sites}:
        raise _forged("it belongs to other hospitals")
    if (certificate.training_data == TrainingData.NOT_SEEN) != (certificate.manifest_sha256 is None):
        raise _forged("it compares with a training split that it does not name")
    if certificate.training_data == TrainingData.COMPARED and certificate.store_sha256 is None:
        raise _forged("it compares pictures, but names no store")
    by_name = {check.name: check for check in certificate.checks}
    if certificate.training_data == TrainingData.NOT_SEEN:
        unsupported = [name for name in TRAINING_CHECKS[:-1] if by_name[name].status == "pass"]
        if unsupported:
            raise _forged(f"it passes {', '.join(unsupported)} without training data")
    for check in row_checks(predictions, certificate.sites):
        if check != by_name[check.name]:
            raise _forged(f"the rows give another result of {check.name}: {check.detail}")


def _require_names(checks: tuple[Check, ...], known: tuple[str, ...]) -> None:
    names = [check.name for check in checks]
    if sorted(names) == sorted(known):
        return
    unknown, missing = sorted(set(names) - set(known)), [name for name in known if name not in names]
    parts = [f"it has checks that no code runs ({', '.join(unknown)})"] if unknown else []
    parts += [f"it lacks checks ({', '.join(missing)})"] if missing else []
    raise _forged("; ".join(parts) or "a check occurs twice")


def _forged(reason: str) -> EvaluationError:
    return EvaluationError(f"the certificate of these predictions is not valid: {reason}", remedy=_REMEDY)
