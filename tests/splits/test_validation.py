"""The frames that a validation takes, and the checks of its certificate."""

from __future__ import annotations

import pytest

from heart2heart.errors import LeakageError, SplitError
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.split import Check
from heart2heart.schema.validation import TRAINING_CHECKS, VALIDATION_CHECKS, TrainingData, ValidationCertificate
from heart2heart.splits.overlap import Overlap, TrainingReference
from heart2heart.splits.validation import (
    certify_validation,
    require_no_overlap,
    scored_members,
    training_checks,
    validation_members,
    with_certificate,
)
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.stores import random_store, view_labels
from tests.evaluation.factory import HOSPITALS, make_predictions


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> FrameStores:
    return FrameStores([random_store(tmp_path_factory.mktemp("stores") / "store")])


def test_validation_members_takes_the_labeled_frames_of_the_hospitals(stores: FrameStores) -> None:
    labels = view_labels(stores)
    members = validation_members(stores, labels, ["B"], reference=TrainingReference())
    assert set(members["site"].to_pylist()) == {"B"}
    modes = dict(zip(*(stores.frames[name].to_pylist() for name in ("frame", "mode")), strict=True))
    for row in members.to_pylist():
        expected = labels.get(row["frame"]) if modes[row["frame"]] in ("b_mode", "colour") else None
        assert row["view"] == expected
        assert (row["role"] == "test") == (expected is not None)
    assert len(scored_members(members)) > 10


def test_validation_members_leaves_out_whom_the_model_has_seen(stores: FrameStores) -> None:
    labels = view_labels(stores)
    everyone = scored_members(validation_members(stores, labels, ["B"], reference=TrainingReference()))
    seen = sorted(set(everyone["patient"].to_pylist()))[:2]
    reference = TrainingReference(adaptation_patients=tuple(seen))
    kept = validation_members(stores, labels, ["B"], reference=reference, leave_out_seen=True)
    assert set(scored_members(kept)["patient"].to_pylist()) == set(everyone["patient"].to_pylist()) - set(seen)
    assert len(kept) == len(validation_members(stores, labels, ["B"], reference=reference))


def test_validation_members_refuses_a_hospital_without_frames_or_labels(stores: FrameStores) -> None:
    with pytest.raises(SplitError, match=r"no frame of hospital 'Z'.*There are: A, B"):
        validation_members(stores, {}, ["Z"], reference=TrainingReference())
    with pytest.raises(SplitError, match="no labeled frame is left"):
        validation_members(stores, {}, reference=TrainingReference())


def test_certify_validation_runs_every_check_and_binds_the_predictions(stores: FrameStores) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[1:2])
    rows = predictions.table.select(["frame", "clip", "site", "patient", "study"])
    certificate = certify_validation(
        predictions, rows, None, TrainingReference(), sites=["east"], model_sha256="f" * 64
    )
    assert tuple(check.name for check in certificate.checks) == VALIDATION_CHECKS
    assert certificate.training_data == TrainingData.NOT_SEEN
    assert (certificate.store_sha256, certificate.manifest_sha256) == (None, None)
    assert [check.status for check in certificate.checks if check.name in TRAINING_CHECKS] == ["warn"] * 5 + ["pass"]
    bound = with_certificate(predictions, certificate)
    assert bound.provenance.split.certificate_sha256 == certificate.digest()
    assert bound.provenance.validation == certificate
    other = certify_validation(
        make_predictions(hospitals=HOSPITALS[2:3]), rows, None, TrainingReference(), sites=["south"], model_sha256="f"
    )
    assert other.rows_sha256 != certificate.rows_sha256


NOTHING = Overlap((), (), (), (), frozenset())


@pytest.mark.parametrize(
    ("overlap", "name"),
    [
        (Overlap(("p0",), (), (), (), frozenset({"p0"})), "training_patients"),
        (Overlap((), ("s0",), (), (), frozenset({"p0"})), "training_clips"),
        (Overlap((), (), (("f0", "f1"),), (), frozenset({"p0"})), "training_pictures"),
        (Overlap((), (), (), ("p0",), frozenset({"p0"})), "adaptation_patients"),
    ],
)
def test_training_checks_fails_by_kind(stores: FrameStores, overlap: Overlap, name: str) -> None:
    rows = stores.frames.select(["frame", "clip", "site", "patient", "study"])
    checks = training_checks(rows, overlap, TrainingReference(), pictures=True)
    assert [check.name for check in checks] == list(TRAINING_CHECKS)
    assert [check.name for check in checks if check.status == CheckStatus.FAIL] == [name]
    passed = training_checks(rows, NOTHING, TrainingReference(), pictures=True)
    assert not [check for check in passed if check.status == CheckStatus.FAIL]


@pytest.mark.parametrize(
    ("name", "message"), [("training_pictures", "--leave-out-seen"), ("truth_independent", "copied. Predict")]
)
def test_require_no_overlap_names_the_remedy(name: str, message: str) -> None:
    check = Check(name=name, status=CheckStatus.FAIL, detail="copied")
    certificate = ValidationCertificate(
        sites=("E",), rows_sha256="", model_sha256="", store_sha256=None, manifest_sha256=None,
        training_data=TrainingData.NOT_SEEN, checks=(check,),
    )  # fmt: skip
    with pytest.raises(LeakageError, match=message):
        require_no_overlap(certificate)
