"""Certifies the validation of a frozen model at hospitals that need not be in its training split.

The validated patients, clips and pictures are compared with those that trained, selected or adapted the model. What is
not at hand is not compared, and the certificate says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import LeakageError, SplitError
from heart2heart.schema.enums import POOL_MODES, CheckStatus, SplitRole
from heart2heart.schema.flags_rule import FlagsRule, usual_rule
from heart2heart.schema.prediction_checks import row_checks, rows_sha256
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import SPLIT_MEMBERS, Check
from heart2heart.schema.validation import TRAINING_CHECKS, VALIDATION_CHECKS, TrainingData, ValidationCertificate
from heart2heart.splits.clip_uses import apply_flags_rule, excluded_by_use
from heart2heart.splits.copy_check import CopySearch, check_planted
from heart2heart.splits.overlap import Overlap, TrainingReference, find_overlap
from heart2heart.store.copy_search import MIN_SIDE
from heart2heart.store.frame_store import FrameStores
from heart2heart.utils import sha256_json

NOT_SEEN = "not compared: training data not seen"


def training_checks(rows: pa.Table, overlap: Overlap, reference: TrainingReference, *, pictures: bool) -> list[Check]:
    """Return the checks of `TRAINING_CHECKS`, in order.

    Args:
        rows: As in `find_overlap`.
        overlap: From `find_overlap`.
        reference: What is known of the training.
        pictures: The validated rows have pictures.
    """
    trained = reference.trained
    known = trained is not None
    size = 0 if trained is None else len(trained)
    against = f"compared with {size} training frames, none shared"
    number = len(pc.unique(rows["patient"]))
    with_pictures = known and pictures and reference.stores is not None
    if not known:
        no_pictures = NOT_SEEN
    else:
        missing = "training" if pictures else "cases"
        no_pictures = f"training pictures not compared: the pictures of the {missing} are not at hand"
    shared = [f"{left} and {right}" for left, right in overlap.pictures]
    linked = [f"{patient} of {site}" for (site, patient), _ in overlap.linked]
    adapted = reference.adaptation_patients
    adaptation = (
        f"{len(adapted)} patients adapted the model, none is scored" if adapted else "the model was not adapted"
    )
    return [
        _check("training_patients", overlap.patients, "patients", f"{number} patients {against}", NOT_SEEN, known),
        _check("training_clips", overlap.clips, "studies or clips", f"studies and clips {against}", NOT_SEEN, known),
        _check("training_pictures", shared, "pictures", f"{len(rows)} frames {against}", no_pictures, with_pictures),
        _check_copies(overlap.copies, no_pictures, with_pictures),
        _check(
            "training_links", linked, "patients by link codes", f"{number} patients {against} by link codes",
            overlap.not_linked or NOT_SEEN, known and not overlap.not_linked,
        ),
        _check(
            "adaptation_patients", overlap.adaptation, "patients or clips", adaptation, reference.adaptation_note,
            adapted is not None,
        ),
    ]  # fmt: skip


def _check_copies(search: CopySearch | None, unknown: str, known: bool) -> Check:
    """Fail where a validated frame is a processed copy of one of the training; state what the search finds."""
    name = "training_copies"
    if not known:
        return Check(name=name, status=CheckStatus.WARN, detail=unknown)
    if search is None:
        detail = f"processed copies not searched: frames below {MIN_SIDE} pixels"
        return Check(name=name, status=CheckStatus.WARN, detail=detail)
    measured = check_planted(search)
    if search.pairs:
        (left, right), score = search.pairs[0], search.scores[0]
        detail = (
            f"{len(search.pairs)} pairs of a validated and a training frame are copies after registration (correlation "
            f"of {search.threshold:.2f} or more), e.g. {left} and {right} ({score:.2f}); {measured.detail}"
        )
        return Check(name=name, status=CheckStatus.FAIL, detail=detail)
    detail = (
        f"{search.frames} frames compared by descriptor, {search.registered} of {search.candidates} candidate pairs "
        f"registered, none a copy; {measured.detail}"
    )
    return Check(name=name, status=measured.status if search.planted else CheckStatus.WARN, detail=detail)


def _check(name: str, shared: Sequence[str], what: str, fine: str, unknown: str, known: bool) -> Check:
    if shared:
        detail = f"{len(shared)} {what} are scored that trained or adapted the model, e.g. {shared[0]}"
        return Check(name=name, status=CheckStatus.FAIL, detail=detail)
    return Check(name=name, status=CheckStatus.PASS if known else CheckStatus.WARN, detail=fine if known else unknown)


def validation_members(
    stores: FrameStores,
    labels: Mapping[str, str],
    sites: Sequence[str] = (),
    *,
    reference: TrainingReference,
    leave_out_seen: bool = False,
    flags: FlagsRule | None = None,
) -> pa.Table:
    """Choose the frames to validate: the labeled frames of the hospitals, of the modes that a split takes.

    Args:
        stores: The stores.
        labels: View name by frame identifier.
        sites: The hospitals; empty takes all.
        reference: What is known of the training.
        leave_out_seen: Leave out every patient who trained or adapted the model, or shares a picture with one who did.
        flags: The flags rule. None is `usual`, by which no flag excludes a frame.

    Returns:
        Rows of `SPLIT_MEMBERS`: `test`, or `excluded` without a label, of another mode, or left out.

    Raises:
        SplitError: a hospital has no frame, or no labeled frame is left.
    """
    present = sorted(set(stores.frames["site"].to_pylist()))
    for site in sites:
        if site not in present:
            raise SplitError(f"no frame of hospital {site!r} in the stores", remedy=f"There are: {', '.join(present)}")
    chosen = stores.frames.filter(pc.is_in(stores.frames["site"], pa.array([*(sites or present)], pa.string())))
    members = []
    for row in chosen.select(["frame", "clip", "site", "patient", "study", "mode"]).to_pylist():
        view = labels.get(row["frame"]) if row.pop("mode") in POOL_MODES else None
        members.append(row | {"role": SplitRole.EXCLUDED if view is None else SplitRole.TEST, "view": view})
    members = apply_flags_rule(members, excluded_by_use(stores, flags or usual_rule()))
    table = pa.Table.from_pylist(members, schema=SPLIT_MEMBERS)
    if leave_out_seen:
        owners = find_overlap(scored_members(table), stores, reference).owners
        members = [
            row | ({"role": SplitRole.EXCLUDED, "view": None} if row["patient"] in owners else {}) for row in members
        ]
        table = pa.Table.from_pylist(members, schema=SPLIT_MEMBERS)
    if not len(scored_members(table)):
        where = ", ".join(sites or present)
        remedy = "Label clips of these hospitals, or name another label store with --labels"
        raise SplitError("no labeled frame is left to validate", where=where, remedy=remedy)
    return table


def scored_members(members: pa.Table) -> pa.Table:
    """Return the members that are scored."""
    return members.filter(pc.equal(members["role"], SplitRole.TEST))


def certify_validation(
    predictions: Predictions,
    rows: pa.Table,
    stores: FrameStores | None,
    reference: TrainingReference,
    *,
    sites: Sequence[str],
    model_sha256: str,
) -> ValidationCertificate:
    """Run every check of a validation and return its certificate; there is no other way to make one.

    Args:
        predictions: Predictions of the model, whole.
        rows: The scored rows of the validated hospitals; see `find_overlap`.
        stores: The stores with their frames; None: predictions without pictures.
        reference: What is known of the training.
        sites: The validated hospitals.
        model_sha256: Hash of the model, or of the table of predictions.
    """
    overlap = find_overlap(rows, stores, reference)
    checks = (
        *row_checks(predictions, sites),
        *training_checks(rows, overlap, reference, pictures=stores is not None),
    )
    assert tuple(check.name for check in checks) == VALIDATION_CHECKS
    data = reference.training_data
    if data == TrainingData.COMPARED and stores is None:
        data = TrainingData.NAMES_COMPARED
    return ValidationCertificate(
        sites=tuple(sites),
        rows_sha256=rows_sha256(predictions),
        model_sha256=model_sha256,
        store_sha256=None if stores is None else sha256_json([store.digest() for store in stores.stores]),
        manifest_sha256=None if reference.split is None else reference.split.sha256,
        manifest_stated=reference.split is not None and reference.stated,
        training_data=data,
        checks=checks,
    )


def with_certificate(predictions: Predictions, certificate: ValidationCertificate) -> Predictions:
    """Return the predictions with their validation certificate in the place of the split's."""
    split = predictions.provenance.split.model_copy(
        update={
            "sha256": certificate.manifest_sha256 or "",
            "certificate_sha256": certificate.digest(),
            "checks": certificate.checks,
        }
    )
    provenance = predictions.provenance.model_copy(update={"split": split, "validation": certificate})
    return replace(predictions, provenance=provenance)


def require_no_overlap(certificate: ValidationCertificate) -> None:
    """Raise LeakageError if the model has seen a validated patient, clip or picture."""
    failed = [check for check in certificate.checks if check.status == CheckStatus.FAIL]
    leaks = [check for check in failed if check.name in TRAINING_CHECKS]
    if leaks:
        details = "; ".join(f"{check.name}: {check.detail}" for check in leaks)
        remedy = "Name other hospitals with --site, or leave these patients out with --leave-out-seen"
        raise LeakageError(f"this model has seen what it would be scored on ({details})", remedy=remedy)
    if failed:
        raise LeakageError("; ".join(check.detail for check in failed), remedy="Predict the cases again")
