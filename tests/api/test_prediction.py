"""A real clip to a prediction, in three formats."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path

import data_store
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from typer.testing import CliRunner

from heart2heart.api.prediction import predict_files, predict_paths
from heart2heart.cli import app
from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import DicomError
from heart2heart.training.run import Run
from tests.datasets import miniature
from tests.dicom.build import speckle_frames, write
from tests.dicom.test_reader import bomb

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
    (clip,) = json.loads(texts["json"].stdout)
    rows = list(csv.DictReader(io.StringIO(texts["csv"].stdout)))
    assert [row["frame"] for row in rows] == ["", *(str(frame["index"]) for frame in clip["frames"])]
    assert rows[0]["view"] == clip["view"]
    for view, probability in clip["probabilities"].items():
        assert float(rows[0][view]) == pytest.approx(probability, abs=1e-6)
    lines = texts["table"].stdout.splitlines()
    assert lines[0].startswith(f"{REAL.name}: {clip['view']} (")
    assert len(lines) == 3 + len(rows)


def test_predict_files_names_a_file_that_is_no_clip(run: Run, tmp_path: Path) -> None:
    (tmp_path / "note.dcm").write_text("not DICOM")
    with pytest.raises(DicomError, match=r"note\.dcm\. Status excluded:not_dicom"):
        predict_files(run.path, [REAL, tmp_path / "note.dcm"], rule="even:1")


def test_predict_paths_goes_on_after_a_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    folder = miniature.pictures(tmp_path / "in")
    (folder / "clip.dcm").write_bytes(REAL.read_bytes())
    (folder / "PLAX" / "empty.gif").touch()
    (folder / "note.txt").write_text("no picture")
    done = predict_paths(run, folder, rule="even:2")
    assert [clip.file for clip in done.clips] == ["A4C/one.png", "PLAX/two.gif", "clip.dcm"]
    assert [str(each) for each in done.failed] == [
        "PLAX/empty.gif: the file has no bytes (failed:empty)",
        "note.txt: this is neither DICOM nor a picture or video (excluded:not_dicom)",
    ]
    with pytest.raises(DicomError, match=r"1 of 5 files gave no prediction: PLAX/empty\.gif"):
        done.require_all()
    (folder / "PLAX" / "empty.gif").unlink()
    predict_paths(run, folder, rule="even:1").require_all()  # a note in a folder is no failure
    with pytest.raises(DicomError, match=r"note\.txt"):
        predict_paths(run, [folder, folder / "note.txt"], rule="even:1").require_all()


def test_predict_paths_of_a_deflate_bomb_needs_bounded_memory(run: Run, tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.dcm", gib=1).with_suffix(".plain").unlink()
    tracemalloc.start()
    done = predict_paths(run, tmp_path / "bomb.dcm", rule="even:1")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [str(each).rpartition(" ")[2] for each in done.failed] == ["(failed:bounds)"]
    assert peak < 3 * 100 * (tmp_path / "bomb.dcm").stat().st_size < 2**29


def test_predict_files_gives_a_picture_the_view_of_its_dicom(run: Run, tmp_path: Path) -> None:
    frames = speckle_frames(6, seed=4)
    dicom = write(tmp_path / "clip.dcm", frames, SequenceOfUltrasoundRegions=None)
    pages = [Image.fromarray(frame) for frame in frames]
    pages[0].save(tmp_path / "clip.tif", save_all=True, append_images=pages[1:])
    expected, clip = predict_files(run, [dicom, tmp_path / "clip.tif"], rule="even:3")
    assert clip.probabilities == expected.probabilities
    assert (clip.mode, clip.flags, clip.view) == (expected.mode, expected.flags, expected.view)


def test_predict_prints_one_line_for_each_file_that_failed(run: Run, tmp_path: Path) -> None:
    folder = miniature.pictures(tmp_path / "in")
    (folder / "cut.png").write_bytes((folder / "A4C" / "one.png").read_bytes()[:200])
    done = CliRunner().invoke(app, ["predict", str(run.path), str(folder), "--frames", "even:1", "--format", "csv"])
    assert isinstance(done.exception, DicomError)
    assert done.exception.exit_code == 2
    assert {row["file"] for row in csv.DictReader(io.StringIO(done.stdout))} == {"A4C/one.png", "PLAX/two.gif"}
    assert [line for line in done.stderr.splitlines() if line and "no scope file" not in line] == [
        "no prediction: cut.png: a picture cannot be decoded (failed:truncated)"
    ]


def test_predict_of_nothing_that_can_be_read_prints_no_prediction(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.txt").write_text("no picture")
    for form in ("csv", "json", "table"):
        done = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "in"), "--format", form])
        assert isinstance(done.exception, DicomError)
        assert "1 of 1 files" in str(done.exception)


def test_predict_paths_goes_on_after_a_folder_without_files_and_a_link_that_leads_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.dcm").write_bytes(REAL.read_bytes())
    (tmp_path / "in" / "machine").symlink_to("/")
    done = predict_paths(run, [tmp_path / "empty", tmp_path / "gone.dcm", tmp_path / "in"], rule="even:1")
    assert [clip.file for clip in done.clips] == ["clip.dcm"]
    assert [(each.file, str(each.error.code)) for each in done.failed] == [
        ("empty", "failed:missing"), ("gone.dcm", "failed:unreadable"), ("machine", "excluded:outside_folder"),
    ]  # fmt: skip


def test_predict_prints_what_succeeded_where_a_folder_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    line = ["predict", str(run.path), str(tmp_path / "empty"), str(REAL), "--frames", "even:1"]
    result = CliRunner().invoke(app, line)
    assert result.output.startswith(f"{REAL.name}: ")
    assert isinstance(result.exception, DicomError)
