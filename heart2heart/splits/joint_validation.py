"""Joins the validations of several models on the same frames into one, so that they are compared in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from heart2heart.errors import SplitError
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.prediction_checks import row_checks, rows_sha256
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import ACCESS_CHECK, Check
from heart2heart.schema.validation import TRAINING_CHECKS, ValidationCertificate
from heart2heart.splits.validation import with_certificate
from heart2heart.utils import sha256_json

_COMPARED = {
    "sites": "hospitals",
    "store_sha256": "stores",
    "manifest_sha256": "a training split",
    "training_data": "training data",
}


def join_validations(parts: Sequence[Predictions]) -> Predictions:
    """Join certified predictions of several models, each of one run, under one certificate.

    The checks of the rows are run again on all rows. A check against the training has the worst result of the models.

    Args:
        parts: Certified predictions of one model each, on the same frames.

    Raises:
        SplitError: the models were validated with other stores, hospitals or training splits.
        EvaluationError: other classes or geometries, or two models of one name.
    """
    if len(parts) == 1:
        return parts[0]
    certificates = [_certificate(part) for part in parts]
    first = certificates[0]
    for other in certificates[1:]:
        for name, what in _COMPARED.items():
            if getattr(other, name) != getattr(first, name):
                remedy = "Validate them one at a time, or name the split of all with --split"
                raise SplitError(f"these models were validated with other {what}", remedy=remedy)
    split = parts[0].provenance.split
    plain = [
        replace(part, provenance=part.provenance.model_copy(update={"split": split, "validation": None}))
        for part in parts
    ]
    joined = Predictions.concat(plain)
    names = [run.run for run in joined.provenance.runs]
    models = tuple(certificate.model_sha256 for certificate in certificates)
    certificate = ValidationCertificate(
        sites=first.sites,
        rows_sha256=rows_sha256(joined),
        model_sha256=sha256_json(list(models)),
        models=models,
        store_sha256=first.store_sha256,
        manifest_sha256=first.manifest_sha256,
        manifest_stated=any(each.manifest_stated for each in certificates),
        training_data=first.training_data,
        checks=(*row_checks(joined, first.sites), *_training_checks(certificates, names)),
    )
    accesses = [check for check in parts[-1].provenance.split.checks if check.name == ACCESS_CHECK]
    certified = with_certificate(joined, certificate)
    logged = certified.provenance.split.model_copy(update={"checks": (*certificate.checks, *accesses)})
    return replace(certified, provenance=certified.provenance.model_copy(update={"split": logged}))


def _certificate(part: Predictions) -> ValidationCertificate:
    certificate = part.provenance.validation
    assert certificate is not None, "only certified predictions are joined"
    assert len(part.provenance.runs) == 1, "a part has one model"
    return certificate


def _training_checks(certificates: Sequence[ValidationCertificate], names: Sequence[str]) -> list[Check]:
    joined = []
    for name in TRAINING_CHECKS:
        checks = [next(check for check in each.checks if check.name == name) for each in certificates]
        details = [check.detail for check in checks]
        if len(set(details)) > 1:
            details = [f"{run}: {detail}" for run, detail in zip(names, details, strict=True)]
        statuses = [check.status for check in checks]
        worst = max(statuses, key=list(CheckStatus).index)
        joined.append(Check(name=name, status=worst, detail="; ".join(dict.fromkeys(details))))
    return joined
