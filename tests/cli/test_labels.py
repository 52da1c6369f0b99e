"""The verbs of labels, end to end, and what they refuse."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from tests.labels.hospital import Hospital, make_hospital


def _run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["labels", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return make_hospital(tmp_path, {0: ("399214001", "SCT"), 2: ("399232001", "SCT")})


def test_labels_import_export_merge_agree_and_show(tmp_path: Path, hospital: Hospital) -> None:
    book, store, key = tmp_path / "labels.db", hospital.store.root, hospital.key
    common = ("--labels", book, "--store", store, "--key", key)
    assert _run("import", hospital.files, *common, "--format", "view_code").startswith(
        "4 rows: 2 new labels, 2 without"
    )
    printed = _run("export", tmp_path / "sr", *common, "--format", "sr", "--rule", "latest", "--dicom", hospital.files)
    assert printed.startswith("2 labels by rule latest written to")
    assert _run("import", tmp_path / "sr", *common, "--format", "sr").startswith("2 rows: 2 new labels")
    _run("export", tmp_path / "events.csv", "--labels", book)
    merged = _run("merge", tmp_path / "all.db", book, tmp_path / "events.csv")
    assert merged.startswith("4 events in ")
    assert "4 of them in more than one part, 0 with different details" in merged
    measured = ("--labels", tmp_path / "all.db", "--store", store, "--by-view", "--replicates", "100")
    shown = _run("agree", *measured, "--out", tmp_path / "a.parquet")
    assert "krippendorff  all       all" in shown
    assert "unsure: missing, unusable: word" in shown
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert {(row["measure"], row["value"]) for row in table if row["view"] == "all"} == {
        ("krippendorff", 1.0), ("fleiss", 1.0), ("cohen", 1.0),
    }  # fmt: skip
    assert "A4C" in _run("show", "--labels", tmp_path / "all.db", "--store", store, "--rule", "dawid_skene")


def test_labels_agree_marks_an_interval_of_few_patients(tmp_path: Path, hospital: Hospital) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([
        LabelEvent(f"c{index}", "", ("A4C", "A2C")[index % 2], rater, "", "t") for index in range(4) for rater in "ab"
    ])  # fmt: skip
    shown = _run("agree", "--labels", book.path, "--store", hospital.store.root, "--replicates", "100")
    assert shown.count("1.00 to 1.00*") == 3
    assert shown.endswith("* fewer than 30 patients: the interval is probably too narrow\n")


def test_labels_import_refuses_unknown_raters_and_bad_maps(tmp_path: Path, hospital: Hospital) -> None:
    raters = tmp_path / "raters.json"
    CliRunner().invoke(app, ["raters", "add", "Reader 1", "--raters", str(raters)])
    (tmp_path / "map.yaml").write_text('"0": {4CH: A9C}\n')
    (tmp_path / "in.csv").write_text("clip,view,rater\nc0,A4C,Reader 1\n")
    words = ("import", tmp_path / "in.csv", "--labels", tmp_path / "labels.db", "--store", hospital.store.root)
    assert "1 new labels" in _run(*words, "--raters", raters)
    with pytest.raises(UnknownNameError, match="unknown view 'A9C'"):
        _run(*words, "--taxonomy-map", tmp_path / "map.yaml")


def test_labels_export_keeps_reports_and_pseudonyms_apart(tmp_path: Path, hospital: Hospital) -> None:
    LabelStore(tmp_path / "labels.db").append([LabelEvent("c0", "", "A4C", "r", "", "t")])
    with pytest.raises(ConfigError, match="Give --rule, --store, --dicom and --key"):
        _run("export", tmp_path / "sr", "--labels", tmp_path / "labels.db", "--format", "sr")
    with pytest.raises(ConfigError, match="exports carry pseudonyms only"):
        _run("export", tmp_path / "out.csv", "--labels", tmp_path / "labels.db", "--key", hospital.key)
