"""A frozen model at a hospital that joined later: scores, certificate, report; leaks and forged certificates."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heart2heart.api.adaptation import adapt
from heart2heart.api.evaluation import evaluate
from heart2heart.api.reporting import report
from heart2heart.api.validation import validate
from heart2heart.api.validation_check import check_validation
from heart2heart.errors import ConfigError, ExistsError, LeakageError, RunError, SplitError
from heart2heart.export.export import export_run
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.margin import register_margin
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.validation import VALIDATION_CHECKS, TrainingData
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run
from heart2heart.training.seeds import train_seeds
from tests.api.new_hospital import NewHospital, certificate_of, new_hospital

CLASSES = ("normal", "pneumonia")


def status(folder: Path, name: str) -> CheckStatus:
    return next(check.status for check in certificate_of(folder).checks if check.name == name)


def test_validate_scores_a_hospital_that_the_split_does_not_know(
    run: Run, tiny: TinyStore, hospital: NewHospital, validated: Path, tmp_path: Path
) -> None:
    predictions = Predictions.read(validated / "predictions.parquet")
    assert [(site.site, site.held_out) for site in predictions.provenance.sites] == [("A", False), ("E", True)]
    certificate = certificate_of(validated)
    assert certificate.training_data == TrainingData.COMPARED
    assert tuple(check.name for check in certificate.checks) == VALIDATION_CHECKS
    assert {check.name for check in certificate.checks if check.status == "warn"} == {
        "test_patients",
        "training_copies",  # frames of 16 pixels
        "training_links",
    }
    assert json.loads((validated / "certificate.json").read_text()) == certificate.model_dump(mode="json")
    # The logits are those of the run, frame by frame.
    store = FrameStore.open(hospital.store)
    rows = dict(zip(*(store.frames[name].to_pylist() for name in ("frame", "row")), strict=True))
    at_e = [row for row in predictions.table.to_pylist() if row["site"] == "E"]
    assert len(at_e) == 48
    pixels = store.read(np.array([rows[row["frame"]] for row in at_e]))
    np.testing.assert_allclose([row["logits"] for row in at_e], run.predict(pixels), rtol=1e-5, atol=1e-5)
    page = report(validated, tmp_path / "report.html", replicates=200)
    assert [gap.site for gap in page.metrics.methods[0].generalisation.gaps] == ["E"]
    assert page.metrics.methods[0].generalisation.gaps[0].gap.value is not None
    assert "Patients, clips and pictures were compared with the training split" in page.path.read_text()


def test_validate_gives_the_scores_of_evaluate_where_both_may_score(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    from heart2heart.labels.events import LabelEvent
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.splits.manifest import SplitManifest

    expected = evaluate([run.path], [tiny.store], tmp_path / "e", replicates=200)
    members = [row for row in SplitManifest.load(tiny.split).members.to_pylist() if row["view"] and row["site"] == "B"]
    labels = {row["clip"]: row["view"] for row in members}
    LabelStore(tmp_path / "l.db").append(
        [LabelEvent(clip, "", view, "r", "2026-01-31T12:00:00Z", "csv:heart2heart") for clip, view in labels.items()]
    )
    scores = validate(run, tmp_path / "v", store=tiny.store, labels=tmp_path / "l.db", sites=["B"], replicates=200)
    assert scores.methods == expected.methods
    assert [row.model_dump(exclude={"run"}) for row in scores.runs] == [
        row.model_dump(exclude={"run"}) for row in expected.runs
    ]


def test_evaluate_names_validate_for_a_hospital_that_joined_later(
    run: Run, hospital: NewHospital, tmp_path: Path
) -> None:
    from heart2heart.testing.tiny import tiny_store

    other = tiny_store(tmp_path / "other", parts={"train": 2, "validation": 2, "test": 2, "unlabeled": 2})
    with pytest.raises(RunError, match="heart2heart validate"):
        evaluate([run.path], [other.store], tmp_path / "e", split=other.split)


def test_validate_refuses_a_patient_who_trained_the_model(run: Run, tmp_path: Path) -> None:
    leaking = new_hospital(tmp_path / "h", site="A", pseudonym="p")
    with pytest.raises(LeakageError, match=r"training_patients: 4 patients.*--leave-out-seen"):
        validate(run, tmp_path / "v", store=leaking.store, labels=leaking.labels, replicates=200)
    assert not (tmp_path / "v").exists()


def test_validate_refuses_a_picture_that_trained_the_model_under_another_pseudonym(
    run: Run, tiny: TinyStore, tmp_path: Path
) -> None:
    leaking = new_hospital(tmp_path / "h", copied_from=tiny)
    arguments: dict[str, Any] = {"store": leaking.store, "labels": leaking.labels, "replicates": 200}
    with pytest.raises(LeakageError, match=r"training_pictures: .*c000v.*"):
        validate(run, tmp_path / "v", **arguments)
    metrics = validate(run, tmp_path / "v", leave_out_seen=True, **arguments)
    assert [site.clusters for site in metrics.sites if site.site == "E"] == [3]
    assert status(tmp_path / "v", "training_pictures") == "pass"


def test_validate_leaves_out_patients_who_adapted_the_model(run: Run, hospital: NewHospital, tmp_path: Path) -> None:
    adapted = adapt(run, hospital.store, tmp_path / "adapted", site="E", patients=["e0", "e1"], refuse=False)
    arguments: dict[str, Any] = {"store": hospital.store, "labels": hospital.labels, "replicates": 200}
    with pytest.raises(LeakageError, match="adaptation_patients"):
        validate(adapted, tmp_path / "v", **arguments)
    metrics = validate(adapted, tmp_path / "v", leave_out_seen=True, **arguments)
    assert [site.clusters for site in metrics.sites if site.site == "E"] == [2]


def test_validate_takes_an_ensemble_and_its_export(tiny: TinyStore, hospital: NewHospital, tmp_path: Path) -> None:
    ensemble = train_seeds(tiny.config(steps=2), (0, 1), tmp_path / "seeds", workers=1).ensemble
    arguments: dict[str, Any] = {"store": hospital.store, "labels": hospital.labels, "replicates": 200}
    metrics = validate(ensemble.path, tmp_path / "v", **arguments)
    assert [method.method for method in metrics.methods] == ["labels only, ensemble of 2 seeds"]
    assert status(tmp_path / "v", "training_pictures") == "pass"
    file = export_run(ensemble, tmp_path / "exported", ("onnx",))["onnx"]
    exported = validate(file, tmp_path / "w", split=tiny.split, train_stores=tiny.store, **arguments)
    values = [[site.balanced_accuracy.value for site in scores.methods[0].sites] for scores in (metrics, exported)]
    assert values[0] == values[1]


@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_validate_takes_an_exported_model(run: Run, hospital: NewHospital, tmp_path: Path, form: str) -> None:
    file = export_run(run, tmp_path / "exported", (form,))[form]
    out = tmp_path / "v"
    metrics = validate(file, out, store=hospital.store, labels=hospital.labels, replicates=200)
    assert certificate_of(out).training_data == TrainingData.NOT_SEEN
    assert metrics.training_data_note is not None
    assert metrics.training_data_note.startswith("Training data not seen")
    expected = run.predict(FrameStore.open(hospital.store).read(np.arange(48)))
    table = Predictions.read(out / "predictions.parquet").table
    logits = dict(zip(table["frame"].to_pylist(), table["logits"].to_pylist(), strict=True))
    frames = FrameStore.open(hospital.store).frames["frame"].to_pylist()
    np.testing.assert_allclose([logits[frame] for frame in frames], expected, atol=1e-4)


def test_validate_compares_an_exported_model_with_the_split_that_it_records(
    run: Run, tiny: TinyStore, hospital: NewHospital, tmp_path: Path
) -> None:
    file = export_run(run, tmp_path / "exported", ("onnx",))["onnx"]
    arguments: dict[str, Any] = {"store": hospital.store, "labels": hospital.labels, "replicates": 200}
    validate(file, tmp_path / "v", split=tiny.split, train_stores=tiny.store, **arguments)
    assert certificate_of(tmp_path / "v").training_data == TrainingData.COMPARED
    assert not certificate_of(tmp_path / "v").manifest_stated
    validate(file, tmp_path / "w", split=tiny.split, **arguments)
    assert certificate_of(tmp_path / "w").training_data == TrainingData.NAMES_COMPARED
    assert status(tmp_path / "w", "training_pictures") == "warn"


def test_validate_says_when_the_training_split_is_not_at_hand(run: Run, hospital: NewHospital, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "moved")
    config = tmp_path / "moved" / "config.yaml"
    config.write_text(config.read_text().replace(str(run.config.data.split), str(tmp_path / "gone")))
    validate(tmp_path / "moved", tmp_path / "v", store=hospital.store, labels=hospital.labels, replicates=200)
    page = report(tmp_path / "v", tmp_path / "report.html", replicates=200).path
    assert "Training data not seen" in page.read_text()
    assert "Training data not seen" in page.with_name("MODEL_CARD.md").read_text()
    assert "Training data not seen" in (tmp_path / "v" / "metrics.json").read_text()


def test_validate_refuses_what_cannot_be_validated(
    run: Run, tiny: TinyStore, hospital: NewHospital, validated: Path, tmp_path: Path
) -> None:
    good: dict[str, Any] = {"store": hospital.store, "labels": hospital.labels, "replicates": 200}
    with pytest.raises(ExistsError, match="predictions are already"):
        validate(run, validated, **good)
    with pytest.raises(ConfigError, match="needs a store and labels"):
        validate(run, tmp_path / "v")
    with pytest.raises(ConfigError, match="no noun"):
        validate(run, tmp_path / "v", task="\n", **good)
    with pytest.raises(SplitError, match="no frame of hospital 'Z'"):
        validate(run, tmp_path / "v", sites=["Z"], **good)
    with pytest.raises(RunError, match="this file is no model"):
        validate(hospital.labels, tmp_path / "v", **good)
    with pytest.raises(ConfigError, match="a table has its own hospitals"):
        validate(tmp_path / "t.csv", tmp_path / "v", **good)
    other = new_hospital(tmp_path / "empty")
    with pytest.raises(SplitError, match="no labeled frame is left"):
        validate(run, tmp_path / "v", store=tiny.store, labels=other.labels, replicates=200)
    assert not (tmp_path / "v").exists()


def scikit_learn_table(path: Path, *, patients: int = 40, seed: int = 0) -> None:
    """Fit a classifier of another library and write its predictions."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, patients * 2)
    features = rng.normal(size=(patients * 2, 3)) + 1.2 * truth[:, None]
    model = LogisticRegression().fit(features[::2], truth[::2])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "patient", "site", "truth", *CLASSES])
        for index, probabilities in enumerate(model.predict_proba(features)):
            row = [f"MRN-{index}", f"DOEHRINGER^JOHN {index // 2}", "Lyon", CLASSES[truth[index]]]
            writer.writerow([*row, *probabilities])


def test_validate_takes_a_table_of_another_library(tmp_path: Path) -> None:
    from sklearn.metrics import balanced_accuracy_score

    scikit_learn_table(tmp_path / "table.csv")
    out = tmp_path / "v"
    metrics = validate(tmp_path / "table.csv", out, task="pneumonia", name="Logistic regression", replicates=200)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    predicted = [max(CLASSES, key=lambda name: float(row[name])) for row in rows]
    expected = balanced_accuracy_score([row["truth"] for row in rows], predicted)
    assert metrics.runs[0].sites[0].balanced_accuracy.value == pytest.approx(expected, abs=1e-12)
    assert metrics.task == "pneumonia"
    assert metrics.sites[0].clusters == 40
    page = report(out, tmp_path / "report.html", replicates=200).path
    texts = page.read_text() + page.with_name("MODEL_CARD.md").read_text() + (out / "metrics.json").read_text()
    assert "Training data not seen" in texts
    assert "DOEHRINGER" not in texts
    assert b"DOEHRINGER^JOHN" not in (out / "predictions.parquet").read_bytes()
    assert {how for *_, how in check_validation(out, model=tmp_path / "table.csv")} == {"computed again"}


def test_validate_compares_a_table_with_a_split_by_pseudonym(tiny: TinyStore, tmp_path: Path) -> None:
    scikit_learn_table(tmp_path / "table.csv")
    text = (tmp_path / "table.csv").read_text()
    margin = tmp_path / "m.json"
    register_margin(margin, margin=10, question="May it be used?", registered_by="board")
    scores = validate(
        tmp_path / "table.csv", tmp_path / "v", split=tiny.split, task="pneumonia", replicates=200, margin=margin
    )
    assert scores.margin is not None
    assert scores.margin.margin.margin == 10
    assert scores.margin.first_look == Predictions.read(tmp_path / "v" / "predictions.parquet").provenance.created
    assert certificate_of(tmp_path / "v").training_data == TrainingData.NAMES_COMPARED
    assert certificate_of(tmp_path / "v").manifest_stated
    (tmp_path / "leak.csv").write_text(text.replace("DOEHRINGER^JOHN 0,", "p0,"))
    with pytest.raises(LeakageError, match="training_patients: 1 patients"):
        validate(tmp_path / "leak.csv", tmp_path / "w", split=tiny.split, task="pneumonia", replicates=200)
    assert not (tmp_path / "w").exists()
