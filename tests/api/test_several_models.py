"""Several models in one validation: one certificate, the same frames, paired differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heart2heart.api.reporting import report
from heart2heart.api.validation import validate
from heart2heart.api.validation_check import check_validation
from heart2heart.errors import ConfigError, EvaluationError, SplitError
from heart2heart.export.bundle import write_bundle
from heart2heart.schema.validation import VALIDATION_CHECKS, TrainingData
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from tests.api.new_hospital import NewHospital, certificate_of
from tests.federated.sites import table


def write_tables(folder: Path) -> list[Path]:
    """Write the predictions of two models for the same cases."""
    files = [folder / "first.csv", folder / "second.csv"]
    for file, period in zip(files, (9, 7), strict=True):
        file.write_text(table("A", period))
    return files


def test_validate_compares_two_tables_in_pairs(tmp_path: Path) -> None:
    files = write_tables(tmp_path)
    metrics = validate(files, tmp_path / "v", task="severity", replicates=200)
    assert [method.method for method in metrics.methods] == ["first", "second"]
    (comparison,) = metrics.comparisons
    difference = comparison.sites[0].difference
    alone = [validate(file, tmp_path / file.stem, task="severity", replicates=200) for file in files]
    values = [each.methods[0].sites[0].balanced_accuracy.value or 0.0 for each in alone]
    assert difference.value == pytest.approx(values[1] - values[0])
    certificate = certificate_of(tmp_path / "v")
    assert certificate.models == tuple(certificate_of(tmp_path / file.stem).model_sha256 for file in files)
    assert tuple(check.name for check in certificate.checks) == VALIDATION_CHECKS
    how = {name: source for name, _, _, source in check_validation(tmp_path / "v", model=files[0])}
    assert (how["cases_unique"], how["training_patients"]) == ("computed again", "as stated")
    page = report(tmp_path / "v", tmp_path / "report.html", replicates=200)
    assert len(page.metrics.comparisons) == 1


def test_validate_pairs_models_whose_names_are_recoded_and_releases_their_counts(tmp_path: Path) -> None:
    from heart2heart.api.release import pool

    files = write_tables(tmp_path)
    coded = validate(files, tmp_path / "v", task="severity", replicates=200, pseudonyms=False)
    validate(files, tmp_path / "c", task="severity", release="counts")
    pooled = pool(tmp_path / "c" / "counts_A.json", tmp_path / "pooled").pooled.metrics
    one, other = (each.comparisons[0].sites[0].difference for each in (coded, pooled))
    assert one.value == pytest.approx(other.value)
    assert one.low == pytest.approx(other.low, abs=1e-6)


def test_validate_joins_a_run_and_its_bundle_under_one_certificate(
    run: Run, tiny: TinyStore, hospital: NewHospital, tmp_path: Path
) -> None:
    bundle = write_bundle(run, tmp_path / "bundle")
    options: dict[str, Any] = {"store": hospital.store, "labels": hospital.labels, "replicates": 200}
    metrics = validate(
        [run, bundle], tmp_path / "v", split=tiny.split, train_stores=tiny.store, pseudonyms=False, **options
    )
    assert certificate_of(tmp_path / "v").training_data == TrainingData.COMPARED
    assert [site.site for site in metrics.sites] == ["A", "E"]
    (comparison,) = metrics.comparisons
    assert [row.difference.value for row in comparison.sites] == [0.0, 0.0]
    checks = {check.name: check for check in certificate_of(tmp_path / "v").checks}
    # The bundle says that it was not adapted; so does the run.
    assert checks["adaptation_patients"].status == "pass"
    assert checks["training_patients"].detail.count("patients compared with") == 1
    with pytest.raises(EvaluationError, match="a run occurs twice"):
        validate([run, run], tmp_path / "w", **options)
    with pytest.raises(SplitError, match="these models were validated with other"):
        validate([run, bundle], tmp_path / "w", **options)


def test_validate_refuses_models_that_cannot_be_compared(tmp_path: Path) -> None:
    files = write_tables(tmp_path)
    files[1].write_text(table("A", 7, patients=30))
    with pytest.raises(EvaluationError, match="not tested on the same frames"):
        validate(files, tmp_path / "v", task="severity", replicates=200)
    files[1].write_text(table("B", 7))
    with pytest.raises(SplitError, match="other hospitals"):
        validate(files, tmp_path / "v", task="severity", replicates=200)
    with pytest.raises(ConfigError, match="--name is for one table"):
        validate(files, tmp_path / "v", name="M", replicates=200)
    with pytest.raises(ConfigError, match="no model to validate"):
        validate([], tmp_path / "v")
    assert not (tmp_path / "v").exists()
