"""What leaves a hospital where rows may not: counts, their report, predictions without pictures or names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from heart2heart.api.evaluation import evaluate
from heart2heart.api.release import pool
from heart2heart.api.reporting import report
from heart2heart.api.validation import validate
from heart2heart.api.validation_check import check_validation
from heart2heart.errors import ConfigError, EvaluationError, ExistsError, UnknownNameError
from heart2heart.schema.decision import read_decision
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.redaction import NAME_COLUMNS
from heart2heart.schema.validation import TrainingData
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from tests.api.new_hospital import NewHospital, new_hospital
from tests.federated.sites import table


@pytest.fixture(scope="module")
def released(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    hospital = new_hospital(folder / "E", patients=12)
    validate(run, folder / "out", store=hospital.store, labels=hospital.labels, release="counts")
    return folder / "out"


def test_validate_releases_counts_of_a_run_and_nothing_else(released: Path) -> None:
    # The source has three test patients: nothing of it may leave, and it was only scored beside the hospital.
    assert [path.name for path in released.iterdir()] == ["counts_E.json"]
    text = (released / "counts_E.json").read_text()
    counts = json.loads(text)
    assert counts["training_data"] == TrainingData.COMPARED
    assert (counts["frames"]["patients"], counts["frames"]["rows"], counts["clips"]["rows"]) == (12, 144, 48)
    assert [each["rows"] for each in counts["frames"]["classes"]] == [36] * 4
    for name in ("e0", "Es0", "Ee0v0", "reader 1", "detail"):
        assert f'"{name}' not in text


def test_pool_writes_the_report_of_what_was_released(released: Path, tmp_path: Path) -> None:
    done = pool(released / "counts_E.json", tmp_path / "pooled")
    assert {path.name for path in done.path.parent.iterdir()} == {"report.html", "pooled.json", "metrics.json"}
    page = done.path.read_text()
    assert "From counts" in page
    assert "hidden" in page
    assert repr(done) == "<PooledReport('report.html'): <Metrics: labels only at E (SYNTHETIC data)>>"
    assert "E (held out)  12" in done.table
    with pytest.raises(ExistsError):
        pool(released / "counts_E.json", tmp_path / "pooled")


def test_pool_decides_by_criteria(released: Path, tmp_path: Path) -> None:
    accept = tmp_path / "criteria.yaml"
    accept.write_text("question: May it be used?\nwritten_by: AB\nbalanced_accuracy: 99\npatients: 500\n")
    done = pool(released / "counts_E.json", tmp_path / "pooled", accept=accept)
    assert done.decision is not None
    assert done.decisions.startswith("E")
    folder = done.path.parent
    assert {path.name for path in folder.iterdir()} == {
        "report.html", "pooled.json", "metrics.json", "decision.json", "decision.pdf",
    }  # fmt: skip
    assert read_decision(folder / "decision.json") == done.decision
    assert (folder / "decision.pdf").read_bytes().startswith(b"%PDF")
    page = done.path.read_text()
    assert page.index("May it be used?") < page.index('id="summary"')
    accept.write_text("question: May it be used?\nwritten_by: AB\nsensitivity: {A9C: 50}\n")
    with pytest.raises(UnknownNameError, match="unknown class 'A9C'"):
        pool(released / "counts_E.json", tmp_path / "other", accept=accept)
    assert not (tmp_path / "other").exists()


def edited(file: Path, out: Path, change: Any) -> Path:
    content = json.loads(file.read_text())
    change(content)
    out.write_text(json.dumps(content))
    return out


def test_pool_refuses_an_edited_file(released: Path, tmp_path: Path) -> None:
    def more(content: dict[str, Any]) -> None:
        content["frames"]["classes"][0]["rows"] += 1

    with pytest.raises(EvaluationError, match="changed after they were written"):
        pool(edited(released / "counts_E.json", tmp_path / "e.json", more), tmp_path / "out")
    (tmp_path / "f.json").write_text("{}")
    with pytest.raises(EvaluationError, match="no file of counts"):
        pool(tmp_path / "f.json", tmp_path / "out")
    with pytest.raises(ConfigError, match="more than 1000"):
        pool([tmp_path / "f.json"] * 1001, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_validate_releases_counts_of_a_table_once_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(table("A", 9) + table("B/1", 8).partition("\n")[2])
    metrics = validate(tmp_path / "t.csv", tmp_path / "out", task="severity", name="M", release="counts")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[0] == "counts_A.json"
    assert names[1].startswith("counts_B-1_")
    assert [site.site for site in metrics.sites] == ["A", "B/1"]
    with pytest.raises(ExistsError, match="counts are already in this folder"):
        validate(tmp_path / "t.csv", tmp_path / "out", release="counts")
    with pytest.raises(UnknownNameError, match="rows"):
        validate(tmp_path / "t.csv", tmp_path / "other", release="rows")
    (tmp_path / "few.csv").write_text(table("A", 9, patients=4))
    with pytest.raises(EvaluationError, match="nothing can leave"):
        validate(tmp_path / "few.csv", tmp_path / "other", release="counts")
    assert not (tmp_path / "other").exists()


def test_evaluate_writes_no_picture_and_no_name_on_request(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    plain = evaluate(run, tiny.store, tmp_path / "plain", replicates=100)
    bare = evaluate(run, tiny.store, tmp_path / "bare", replicates=100, pictures=False, pseudonyms=False)
    rows = {name: Predictions.read(tmp_path / name / "predictions.parquet").table for name in ("plain", "bare")}
    assert rows["plain"]["image"].null_count < len(rows["plain"])
    assert rows["bare"]["image"].null_count == len(rows["bare"])
    for column in NAME_COLUMNS:
        names = [set(table[column].to_pylist()) for table in rows.values()]
        assert len(names[0]) == len(names[1])
        assert not names[0] & names[1]
    scores = [[site.balanced_accuracy for site in each.methods[0].sites] for each in (plain, bare)]
    assert [each.value for each in scores[0]] == pytest.approx([each.value for each in scores[1]])
    assert [each.low for each in scores[0]] == pytest.approx([each.low for each in scores[1]])
    assert "Sample frames" in report(tmp_path / "bare", tmp_path / "report.html", replicates=100).path.read_text()


def test_validate_binds_the_certificate_to_recoded_names(run: Run, hospital: NewHospital, tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": hospital.store, "labels": hospital.labels, "replicates": 100}
    validate(run, tmp_path / "v", pictures=False, pseudonyms=False, **options)
    again = validate(run, tmp_path / "w", pictures=False, pseudonyms=False, **options)
    tables = [Predictions.read(tmp_path / name / "predictions.parquet").table for name in "vw"]
    assert tables[0]["image"].null_count == len(tables[0])
    # Another key each time: two files of the same patients cannot be joined.
    assert not set(tables[0]["patient"].to_pylist()) & set(tables[1]["patient"].to_pylist())
    assert [site.clusters for site in again.sites if site.site == "E"] == [4]
    how = {name: source for name, _, _, source in check_validation(tmp_path / "v", store=hospital.store)}
    assert how["cases_unique"] == "computed again"
    assert how["training_patients"] == "as stated"
    shutil.copy(tmp_path / "w" / "certificate.json", tmp_path / "v" / "certificate.json")
    with pytest.raises(EvaluationError, match="not that of the predictions"):
        check_validation(tmp_path / "v")
