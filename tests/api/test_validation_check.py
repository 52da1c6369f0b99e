"""Forged and altered certificates are refused, and every check of a certificate is computed again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from heart2heart.api.evaluation import evaluate
from heart2heart.api.reporting import report
from heart2heart.api.validation import validate
from heart2heart.api.validation_check import check_validation
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.certificates import read_certified
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.prediction_checks import rows_sha256
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.split import Check
from heart2heart.schema.validation import TrainingData
from heart2heart.splits.validation import with_certificate
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from tests.api.new_hospital import NewHospital, certificate_of, new_hospital


def forged(predictions: Predictions, **changes: object) -> Predictions:
    certificate = predictions.provenance.validation
    assert certificate is not None
    return with_certificate(predictions, certificate.model_copy(update=changes))


def test_report_refuses_a_forged_certificate(validated: Path, tmp_path: Path) -> None:
    predictions = Predictions.read(validated / "predictions.parquet")
    certificate = certificate_of(validated)
    passed = tuple(check.model_copy(update={"status": CheckStatus.PASS}) for check in certificate.checks)
    forgeries = {
        "checks that no code runs": forged(
            predictions, checks=(Check(name="trust_me", status=CheckStatus.PASS, detail=""),)
        ),
        "lacks checks": forged(predictions, checks=certificate.checks[1:]),
        "another result of test_patients": forged(predictions, checks=passed),
        "other predictions": forged(predictions, rows_sha256="0" * 64),
        "other hospitals": forged(predictions, sites=("A",)),
        "does not name": forged(predictions, manifest_sha256=None),
        "without training data": forged(predictions, manifest_sha256=None, training_data=TrainingData.NOT_SEEN),
    }
    for message, forgery in forgeries.items():
        forgery.write(tmp_path / "f" / "predictions.parquet")
        with pytest.raises(EvaluationError, match=message):
            report(tmp_path / "f", tmp_path / "report.html", replicates=200)
    assert not (tmp_path / "report.html").exists()


def test_report_refuses_rows_or_a_certificate_beside_them_that_were_changed(validated: Path, tmp_path: Path) -> None:
    predictions = Predictions.read(validated / "predictions.parquet")
    rows = predictions.table.to_pylist()
    rows[-1]["truth"] = "PLAX" if rows[-1]["truth"] != "PLAX" else "PSAX"
    changed = Predictions(
        type(predictions.table).from_pylist(rows, schema=predictions.table.schema), predictions.provenance
    )
    assert rows_sha256(changed) != rows_sha256(predictions)
    changed.write(tmp_path / "changed" / "predictions.parquet")
    with pytest.raises(EvaluationError, match="other predictions"):
        report(tmp_path / "changed", tmp_path / "report.html", replicates=200)
    shutil.copytree(validated, tmp_path / "copy")
    content = json.loads((tmp_path / "copy" / "certificate.json").read_text())
    content["training_data"] = "compared by me"
    (tmp_path / "copy" / "certificate.json").write_text(json.dumps(content))
    with pytest.raises(EvaluationError, match="not that of the predictions"):
        read_certified(tmp_path / "copy")


def test_report_refuses_a_forged_certificate_of_a_split(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    evaluate([run.path], [tiny.store], tmp_path / "e", replicates=200)
    predictions = Predictions.read(tmp_path / "e" / "predictions.parquet")
    split = predictions.provenance.split
    forgeries: dict[str, dict[str, Any]] = {
        "checks that no code runs": {"checks": (Check(name="trust_me", status=CheckStatus.PASS, detail="believe me"),)},
        "not that of its checks": {"checks": tuple(c.model_copy(update={"detail": "fine"}) for c in split.checks)},
        "its split": {"sha256": "0" * 64},
    }
    for message, changes in forgeries.items():
        provenance = predictions.provenance.model_copy(update={"split": split.model_copy(update=changes)})
        Predictions(predictions.table, provenance).write(tmp_path / "f" / "predictions.parquet")
        with pytest.raises(EvaluationError, match=message):
            report(tmp_path / "f", tmp_path / "report.html", replicates=200)


def test_check_validation_computes_every_check_again(
    run: Run, tiny: TinyStore, hospital: NewHospital, validated: Path
) -> None:
    stores: dict[str, Any] = {"store": hospital.store, "split": tiny.split, "train_stores": tiny.store}
    rows = check_validation(validated, model=run.path, **stores)
    assert {how for *_, how in rows} == {"computed again"}
    assert [how for *_, how in check_validation(validated)] == ["computed again"] * 4 + ["as stated"] * 6
    with pytest.raises(EvaluationError, match="another training split"):
        check_validation(validated, store=hospital.store)


def test_check_validation_finds_a_leak_that_the_certificate_denies(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    leaking = new_hospital(tmp_path / "h", copied_from=tiny)
    shutil.copytree(run.path, tmp_path / "moved")
    config = tmp_path / "moved" / "config.yaml"
    config.write_text(config.read_text().replace(str(run.config.data.split), str(tmp_path / "gone")))
    validate(tmp_path / "moved", tmp_path / "v", store=leaking.store, labels=leaking.labels, replicates=200)
    predictions = Predictions.read(tmp_path / "v" / "predictions.parquet")
    certificate = certificate_of(tmp_path / "v")
    manifest = run.directory.record.split_sha256
    checks = tuple(
        check.model_copy(update={"status": CheckStatus.PASS, "detail": "none shared"})
        if check.name.startswith("training")
        else check
        for check in certificate.checks
    )
    lie = certificate.model_copy(
        update={"checks": checks, "manifest_sha256": manifest, "training_data": TrainingData.COMPARED}
    )
    with_certificate(predictions, lie).write(tmp_path / "lie" / "predictions.parquet")
    with pytest.raises(EvaluationError, match=r"another result of training_(patients|pictures)"):
        check_validation(tmp_path / "lie", store=leaking.store, split=tiny.split, train_stores=tiny.store)
