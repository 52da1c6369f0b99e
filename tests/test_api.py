"""The joins: a real clip to a prediction in three forms, and runs to predictions, metrics and a report."""

import csv
import io
import json
import shutil
from pathlib import Path

import data_store
import numpy as np
import pytest
from scipy.special import log_softmax
from typer.testing import CliRunner

from heart2heart.api.evaluation import evaluate
from heart2heart.api.prediction import predict_files
from heart2heart.cli import app
from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import DicomError, RunError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.metrics_files import read_metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.provenance import read_test_accesses
from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training.run import Run
from heart2heart.training.train import train

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def run(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny.config(steps=6), tmp_path_factory.mktemp("runs") / "one")


def test_a_real_clip_gets_a_view_by_the_mean_of_log_probabilities(run: Run) -> None:
    (prediction,) = predict_files(run.path, [REAL], rule="even:5")
    clip = load_clip(REAL, geometry=run.geometry, rule="even:5")
    frames = log_softmax(run.predict(clip.pixels).astype(np.float64), axis=1)
    np.testing.assert_allclose([frame.probabilities for frame in prediction.frames], np.exp(frames), rtol=1e-6)
    expected = np.exp(frames.mean(axis=0)) / np.exp(frames.mean(axis=0)).sum()
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-6)
    assert [frame.index for frame in prediction.frames] == [12, 36, 60, 84, 108]
    assert prediction.view == run.classes[int(expected.argmax())]
    assert prediction.mode == "b_mode"


def test_three_forms_say_the_same(run: Run) -> None:
    texts = {
        form: CliRunner().invoke(app, ["predict", str(run.path), str(REAL), "--frames", "even:3", "--format", form])
        for form in ("table", "csv", "json")
    }
    assert all(result.exit_code == 0 for result in texts.values())
    (clip,) = json.loads(texts["json"].output)
    rows = list(csv.DictReader(io.StringIO(texts["csv"].output)))
    assert [row["frame"] for row in rows] == ["", *(str(frame["index"]) for frame in clip["frames"])]
    assert rows[0]["view"] == clip["view"]
    for view, probability in clip["probabilities"].items():
        assert float(rows[0][view]) == pytest.approx(probability, abs=1e-6)
    lines = texts["table"].output.splitlines()
    assert lines[0].startswith(f"{REAL.name}: {clip['view']} (")
    assert len(lines) == 3 + len(rows)


def test_a_file_that_is_no_clip_is_named_with_its_status(run: Run, tmp_path: Path) -> None:
    (tmp_path / "note.dcm").write_text("not DICOM")
    with pytest.raises(DicomError, match=r"note\.dcm\. Status excluded:not_dicom"):
        predict_files(run.path, [REAL, tmp_path / "note.dcm"], rule="even:1")


def test_runs_are_evaluated_into_a_file_that_holds_everything(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    seen: list[int] = []

    class Kept:
        def update(self, done: int, note: str = "") -> None:
            seen.append(done)

    metrics = evaluate(
        [run.path], [tiny.store], tmp_path / "e", command="test", replicates=200, seed=3, probes=True, progress=Kept()
    )
    assert seen == sorted(seen)
    assert seen[-1] == 100
    predictions = Predictions.read(tmp_path / "e" / "predictions.parquet")
    assert predictions.provenance.command == "test"
    assert [site.site for site in predictions.provenance.sites] == ["A", "B"]
    assert evaluate_predictions(predictions, replicates=200, seed=3) == metrics
    assert predictions.provenance.split.checks[-1].name == "test_opened"
    assert [opening.run for opening in read_test_accesses(tiny.split)] == [run.path.name]
    assert set(predictions.table["role"].to_pylist()) <= set(PredictionRole)
    assert read_metrics(tmp_path / "e" / "metrics.json") == metrics


def test_every_run_is_checked_before_the_first_predicts(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "second")
    record = tmp_path / "second" / "run.json"
    record.write_text(record.read_text().replace(SplitManifest.load(tiny.split).sha256, "0" * 64))
    seen: list[int] = []

    class Kept:
        def update(self, done: int, note: str = "") -> None:
            seen.append(done)

    with pytest.raises(RunError, match="trained on another split") as raised:
        evaluate([run.path, tmp_path / "second"], [tiny.store], tmp_path / "e", command="test", progress=Kept())
    assert str(raised.value.where).endswith("second")
    assert seen == []


def test_a_run_of_another_split_is_refused(run: Run, tmp_path: Path) -> None:
    other = tiny_store(tmp_path / "other", parts={"train": 2, "validation": 2, "test": 2, "unlabeled": 2})
    with pytest.raises(RunError, match="trained on another split"):
        evaluate([run.path], [other.store], tmp_path / "e", command="test", split=other.split)
    assert not (tmp_path / "e").exists()
