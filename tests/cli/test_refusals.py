"""What cannot be split, trained on or scored ends in one line that says what and where, and exit code 2."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.stores import random_store
from tests.command_line import Execute
from tests.evaluation.factory import HOSPITALS, certify, make_predictions, with_rows

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(execute: Execute) -> Run:
    """Return the executable as a function: arguments to exit code, output and error."""
    return lambda *arguments: dataclasses.astuple(execute(*arguments))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store of two hospitals, an empty one, and label stores."""
    root = tmp_path_factory.mktemp("refusals")
    store = random_store(root / "store", frames_each=1)
    FrameStore.create(root / "empty", Geometry("tmed2", 16))
    clips = [clip for clip in store.clips["clip"].to_pylist() if int(clip[4:6]) < len(SCORED_VIEWS)]
    for name, kept in (("labels", clips), ("plax", [clip for clip in clips if clip[4:6] == "00"]), ("none", [])):
        book = LabelStore(root / f"{name}.db")
        book.append([LabelEvent(clip, "", SCORED_VIEWS[int(clip[4:6])], "r1", "", "test") for clip in kept])
    return root


@pytest.mark.parametrize(
    ("store", "labels", "options", "message"),
    [
        ("empty", "labels", (), "the stores hold no frame: "),
        ("empty", "labels", ("--leave-one-out",), "heart2heart ingest, or heart2heart source"),
        ("nowhere", "labels", (), "no frame store here"),
        ("store", "nowhere", (), "no label store here"),
        ("store", "none", ("--source", "A"), "0 labeled patients with a scored view at A. At least 3 are needed"),
        ("store", "plax", ("--source", "A"), "PSAX is labeled in 0 patients of A. At least 3 are needed"),
        ("store", "labels", ("--source", "Z"), "no frame of hospital 'Z' in the stores. There are: A, B"),
        ("store", "labels", ("--source", "A", "--folds", 30), "10 labeled patients with a scored view at A"),
        ("store", "labels", ("--validation", 0.9, "--test", 0.9), "their shares must add up to less than 1"),
        ("store", "labels", ("--validation", 0), "validation: Input should be greater than 0"),
        ("store", "labels", ("--source", "A", "--leave-one-out"), "leaving one hospital out needs at least two"),
        ("store", "labels", ("--official", "A:none"), "no official split A:none"),
        ("store", "labels", ("--source", "A", "--label-budget", 0), "--label-budget"),
    ],
)
def test_split_refuses_what_cannot_be_split(
    run: Run, folder: Path, tmp_path: Path, store: str, labels: str, options: tuple[object, ...], message: str
) -> None:
    out = tmp_path / "split"
    code, _, error = run("split", out, "--store", folder / store, "--labels", folder / f"{labels}.db", *options)
    assert code == 2
    assert message in error
    assert "internal error" not in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("patients", "views", "labeled", "message"),
    [
        (1, SCORED_VIEWS, True, "PLAX comes from only one patient"),
        (6, ("PLAX",), True, "no frame of a view other than PLAX"),
        (4, SCORED_VIEWS, False, "no test frame of a scored view"),
    ],
)
def test_report_of_a_hospital_with_few_patients_is_not_estimable(
    run: Run, tmp_path: Path, patients: int, views: tuple[str, ...], labeled: bool, message: str
) -> None:
    east = dataclasses.replace(HOSPITALS[1], outside=(), patients=patients, views=views)
    predictions = make_predictions(hospitals=(dataclasses.replace(HOSPITALS[0], patients=12), east))
    if not labeled:
        rows = [row | ({"truth": None} if row["site"] == "east" else {}) for row in predictions.table.to_pylist()]
        predictions = with_rows(predictions, rows)
    predictions.write(tmp_path / "predictions.parquet")
    page = tmp_path / "report.html"
    code, output, error = run("report", tmp_path / "predictions.parquet", "--out", page, "--replicates", 100)
    assert (code, error) == (0, "")
    assert "not estimable" in page.read_text()
    assert message in page.read_text()
    if not labeled:
        line = next(line for line in output.splitlines() if line.startswith("east"))
        assert "not estimable" in line
        assert "%" not in line


def _write(predictions: Predictions, path: Path, **changes: object) -> Path:
    Predictions(predictions.table, predictions.provenance.model_copy(update=changes)).write(path)
    return path


def test_folds_compare_and_report_refuse_predictions_that_do_not_belong_together(run: Run, tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=tuple(dataclasses.replace(each, patients=3) for each in HOSPITALS[:2]))
    first = _write(predictions, tmp_path / "a.parquet")
    provenance = predictions.provenance
    sha = {"sha256": "0" * 64}
    other = _write(
        predictions,
        tmp_path / "b.parquet",
        classes=provenance.classes[::-1],
        split=certify(provenance.split.model_copy(update=sha)),
    )
    for arguments, message in (
        (("folds", first, other), "classes"),
        (("folds", first, first), "two prediction files are of the same split"),
        (("folds", tmp_path / "none.parquet"), "no predictions here"),
        (("compare", first), "not readable JSON"),
        (("report", first, "--folds", tmp_path / "none.json"), "no "),
    ):
        out = tmp_path / "out"
        code, _, error = run(*arguments, "--out", out)
        assert code == 2, error
        assert message in error
        assert not out.exists()
