"""A real clip to a prediction, in three formats."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import data_store
import numpy as np
import pytest
from scipy.special import log_softmax
from typer.testing import CliRunner

from heart2heart.api.prediction import predict_files
from heart2heart.cli import app
from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import DicomError
from heart2heart.training.run import Run

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"


def test_predict_files_takes_the_mean_of_log_probabilities(run: Run) -> None:
    (prediction,) = predict_files(run.path, [REAL], rule="even:5")
    clip = load_clip(REAL, geometry=run.geometry, rule="even:5")
    frames = log_softmax(run.predict(clip.pixels).astype(np.float64), axis=1)
    np.testing.assert_allclose([frame.probabilities for frame in prediction.frames], np.exp(frames), rtol=1e-6)
    expected = np.exp(frames.mean(axis=0)) / np.exp(frames.mean(axis=0)).sum()
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-6)
    assert [frame.index for frame in prediction.frames] == [12, 36, 60, 84, 108]
    assert prediction.view == run.classes[int(expected.argmax())]
    assert prediction.mode == "b_mode"


def test_predict_files_is_printed_alike_in_three_formats(run: Run) -> None:
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


def test_predict_files_names_a_file_that_is_no_clip(run: Run, tmp_path: Path) -> None:
    (tmp_path / "note.dcm").write_text("not DICOM")
    with pytest.raises(DicomError, match=r"note\.dcm\. Status excluded:not_dicom"):
        predict_files(run.path, [REAL, tmp_path / "note.dcm"], rule="even:1")
