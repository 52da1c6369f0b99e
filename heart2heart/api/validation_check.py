"""Verifies the certificate of a validation: what the folder and the named stores allow is computed again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.api.frozen_models import load_frozen, model_sha256
from heart2heart.api.validation_frames import training_reference
from heart2heart.api.validation_tables import certified_table
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.certificates import check_certificate, read_certified
from heart2heart.export.exported_model import ExportedModel
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import Check
from heart2heart.schema.validation import ROW_CHECKS, TrainingData, ValidationCertificate
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference, find_overlap
from heart2heart.splits.validation import (
    training_checks,
)
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.run import Run
from heart2heart.utils import sha256_json

Paths = str | Path | Sequence[str | Path]


def check_validation(
    folder: str | Path,
    *,
    model: str | Path | None = None,
    store: Paths | None = None,
    split: str | Path | None = None,
    train_stores: Paths = (),
) -> list[tuple[str, str, str, str]]:
    """Verify the certificate of a validation: compute again all that the folder, and the stores where named, allow.

    Args:
        folder: Folder of the validation.
        model: The validated model, or the table of its predictions.
        store: The stores that it was made with.
        split: The training split that it was compared with.
        train_stores: The stores of that split.

    Returns:
        Name, status, detail, and `computed again` or `as stated`, of each check.

    Raises:
        EvaluationError: the certificate is forged, altered, or belongs to other predictions or another store.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import check_validation
        >>> _ = h2h.validate("run", "checked", store="store", labels="labels.db", sites=["B"], replicates=200)
        >>> options = {"store": "store", "split": "split", "train_stores": "store"}
        >>> {how for _, _, _, how in check_validation("checked", model="run", **options)}
        {'computed again'}
    """
    predictions = read_certified(folder)
    check_certificate(predictions)
    certificate = predictions.provenance.validation
    if certificate is None:
        remedy = "A split is certified again with: heart2heart certify"
        raise EvaluationError("these predictions have no validation certificate", where=folder, remedy=remedy)
    again: dict[str, Check] = dict(zip(ROW_CHECKS, certificate.checks, strict=False))
    if certificate.models:  # of several models: only the checks of the rows are repeated
        model = store = None
    if model is not None and certificate.store_sha256 is None:
        again = _checks_of_table(Path(model), predictions, certificate, split)
    elif model is not None:
        frozen = load_frozen(model)
        if model_sha256(frozen) != certificate.model_sha256:
            raise EvaluationError("the certificate is of another model", where=model, remedy="Name the validated model")
    if store is not None and certificate.store_sha256 is not None:
        adaptation = None if model is None else load_frozen(model)
        again |= _checks_of_stores(predictions, certificate, FrameStores.open(store), split, train_stores, adaptation)
    for check in certificate.checks:
        repeated = again.get(check.name, check)
        # Counts of the search for copies may differ by rounding between processors.
        if repeated != check and (check.name != "training_copies" or repeated.status != check.status):
            what = f"the certificate states another result of {check.name} than its check: {again[check.name].detail}"
            raise EvaluationError(what, where=folder, remedy="Validate again")
    return [
        (check.name, check.status, check.detail, "computed again" if check.name in again else "as stated")
        for check in certificate.checks
    ]


def _checks_of_table(
    path: Path, predictions: Predictions, certificate: ValidationCertificate, split: str | Path | None
) -> dict[str, Check]:
    """Certify a table again, and return its checks."""
    provenance = predictions.provenance
    synthetic = any(site.synthetic for site in provenance.sites)
    name = provenance.runs[0].run
    certified = certified_table(
        path, split, task=provenance.task, name=name, synthetic=synthetic, command=""
    ).provenance
    if certified.validation is None or certified.validation.rows_sha256 != certificate.rows_sha256:
        what = "the certificate is of another table"
        raise EvaluationError(what, where=path, remedy="Name the validated table")
    if certified.validation.manifest_sha256 != certificate.manifest_sha256:
        raise _other_split()
    return {check.name: check for check in certified.validation.checks}


def _checks_of_stores(
    predictions: Predictions,
    certificate: ValidationCertificate,
    opened: FrameStores,
    split: str | Path | None,
    train_stores: Paths,
    frozen: Run | ExportedModel | None,
) -> dict[str, Check]:
    """Compare the scored rows with the training again, and return the checks; without a model, not its adaptation."""
    if sha256_json([store.digest() for store in opened.stores]) != certificate.store_sha256:
        what = "the stores no longer hold what was validated, or they are others"
        raise EvaluationError(what, remedy="Name the stores of the validation, in its order")
    if predictions.provenance.names_recoded:
        return {}  # the codes of the rows are no names of the stores
    manifest = None if split is None else SplitManifest.load(split)
    if (None if manifest is None else manifest.sha256) != certificate.manifest_sha256:
        raise _other_split()
    roots = [train_stores] if isinstance(train_stores, str | Path) else list(train_stores)
    if (certificate.training_data == TrainingData.COMPARED) != bool(roots):
        what = f"the training data of this certificate are: {certificate.training_data.replace('_', ' ')}"
        remedy = "Name the training stores with --train-store, or none if there were none"
        raise EvaluationError(what, remedy=remedy)
    stores = FrameStores.open(roots) if roots else None
    if manifest is not None and stores is not None:
        manifest.check_data(stores)
    reference = TrainingReference(manifest, stores)
    if frozen is not None:
        reference = training_reference(frozen, opened, split, train_stores)
    table = predictions.table
    at_sites = pc.is_in(table["site"], pa.array(certificate.sites, pa.string()))
    rows = table.filter(pc.and_(pc.equal(table["role"], PredictionRole.TEST), at_sites))
    overlap = find_overlap(rows, opened, reference)
    checks = training_checks(rows, overlap, reference, pictures=True)
    return {check.name: check for check in (checks if frozen is not None else checks[:-1])}


def _other_split() -> EvaluationError:
    remedy = "Name that split with --split, or none if there was none"
    return EvaluationError("the certificate was made with another training split", remedy=remedy)
