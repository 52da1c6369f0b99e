"""A table of pictures is refereed by its own rows: processed copies, equal files, missing patients, no leak."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from heart2heart.api.pairs import clear_pairs
from heart2heart.api.table_split import certify_table
from heart2heart.cli import app
from heart2heart.errors import ConfigError, LeakageError, SplitError
from heart2heart.schema.enums import CheckStatus
from heart2heart.splits.planted_copies import COPY_KINDS
from tests.store.echo_frames import echo_frames

TRAINED, PICTURES = 14, 20
COPIED, COPY = 3, 17

Row = dict[str, str]


def public_set(folder: Path, change: Callable[[list[Row]], object] = lambda rows: None, *, copy: bool = False) -> Path:
    """Write pictures and a table of them: 14 train, 6 test; with `copy`, row 19 is row 5, mirrored and cropped."""
    folder.mkdir()
    frames = echo_frames(PICTURES, side=128, seed=5)
    rows = []
    for index, frame in enumerate(frames):
        name = f"{index:02d}.png"
        if copy and index == COPY:
            name = f"{index:02d}.jpg"
            frame = np.ascontiguousarray(COPY_KINDS["crop 5 %"](frames[COPIED])[:, ::-1])
        Image.fromarray(frame).save(folder / name)
        split = "train" if index < TRAINED else "test"
        rows.append({"file": name, "label": "ab"[index % 2], "patient": f"p{index}", "split": split})
    change(rows)
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "table.csv"


def without_labels_and_patients(rows: list[Row]) -> None:
    for row in rows:
        del row["label"], row["patient"]


def with_an_equal_file(rows: list[Row]) -> None:
    rows.append(rows[1] | {"file": "again.png", "split": "test"})


def test_certify_table_finds_a_processed_copy_and_names_its_rows(tmp_path: Path) -> None:
    table = public_set(tmp_path / "set", copy=True)
    result = certify_table(table, tmp_path / "out", size=80, workers=0)
    assert [check.name for check in result.leaks] == ["near_duplicates"]
    assert [{left, right} for left, right, _ in result.pairs] == [{"row 5 (03.png)", "row 19 (17.jpg)"}]
    assert result.equal_files == ()
    with pytest.raises(LeakageError, match="near_duplicates"):
        result.require_no_leak()
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [content for content in written if b"17.jpg" in content]
    clear_pairs(result.split.path, [1], reviewer="Reader 1", reason="other heart", reviewed=tmp_path / "r.json")
    again = certify_table(table, tmp_path / "out", size=80, workers=0, reviewed=tmp_path / "r.json")
    assert again.leaks == []
    again.require_no_leak()


def test_certify_table_takes_a_table_of_names_and_roles_alone(tmp_path: Path) -> None:
    table = public_set(tmp_path / "set", without_labels_and_patients)
    result = certify_table(table, tmp_path / "out", size=80, workers=0)
    result.require_no_leak()
    checks = {check.name: check for check in result.split.certificate().checks}
    assert checks["patient_disjoint"].status == CheckStatus.WARN
    assert checks["patient_disjoint"].detail == "patients of 20 of 20 clips not compared: their files name none"
    # The set has no validation part: it does not leak, but cannot be trained on as it is.
    assert checks["views_present"].status == CheckStatus.FAIL
    assert result.split.classes == ("picture",)


def test_certify_table_finds_equal_files_in_two_roles(tmp_path: Path) -> None:
    table = public_set(tmp_path / "set", with_an_equal_file)
    (table.parent / "again.png").write_bytes((table.parent / "01.png").read_bytes())
    result = certify_table(table, tmp_path / "out", size=80, workers=0)
    assert result.equal_files == (("row 3 (01.png)", "row 22 (again.png)"),)
    with pytest.raises(LeakageError, match="1 pictures are in two roles under two names"):
        result.require_no_leak()


def test_certify_table_refuses_an_edited_table_a_folder_and_a_table_without_roles(tmp_path: Path) -> None:
    table = public_set(tmp_path / "set")
    certify_table(table, tmp_path / "out", size=80, workers=0)
    table.write_text(table.read_text().replace("test", "train", 1))
    with pytest.raises(ConfigError, match="of another table"):
        certify_table(table, tmp_path / "out", size=80, workers=0)
    with pytest.raises(ConfigError, match="no table"):
        certify_table(table.parent, tmp_path / "new", size=80, workers=0)
    table.write_text("file\n00.png\n01.png\n")
    with pytest.raises(SplitError, match="no picture a role"):
        certify_table(table, tmp_path / "new", size=80, workers=0)


def test_certify_of_a_table_on_the_command_line(tmp_path: Path) -> None:
    table = public_set(tmp_path / "set", copy=True)
    options = ["--out", str(tmp_path / "out"), "--size", "80", "--workers", "0"]
    shown = CliRunner().invoke(app, ["certify", str(table), *options])
    assert isinstance(shown.exception, LeakageError)
    assert "row 19 (17.jpg)" in shown.output
    assert isinstance(CliRunner().invoke(app, ["certify", str(table)]).exception, ConfigError)
    assert isinstance(CliRunner().invoke(app, ["certify", str(tmp_path / "split")]).exception, ConfigError)
