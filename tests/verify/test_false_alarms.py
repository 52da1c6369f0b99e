"""Clean outputs give no false alarm, whatever names, numbers and dates the archive holds."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydicom import dcmread

from heart2heart.verify.check import verify
from heart2heart.verify.ocr import tesseract_available
from tests.verify.clean_files import CleanFiles, other_identities


def test_verify_gives_no_false_alarm(tmp_path: Path) -> None:
    CleanFiles(seed=1).write(tmp_path / "out", 150)
    result = verify([tmp_path / "out"], other_identities(400, seed=2))
    assert result.findings == ()
    assert result.unread == ()
    assert result.files == 150


def test_verify_alarms_on_the_same_files_where_the_archive_holds_what_is_in_them(tmp_path: Path) -> None:
    CleanFiles(seed=1).write(tmp_path, 10)
    by_kind = {path.suffix: path for path in tmp_path.iterdir()}
    with closing(sqlite3.connect(by_kind[".db"])) as book:
        in_labels = book.execute("SELECT clip FROM events").fetchone()[0]
    with zipfile.ZipFile(by_kind[".pt"]) as packed:
        in_archive = json.loads(packed.read("config.json"))["clip"]
    inside = {
        ".json": json.loads(by_kind[".json"].read_text())[3]["clip"],
        ".csv": by_kind[".csv"].read_text().split(",")[0],
        ".parquet": pq.read_table(by_kind[".parquet"])["clip"][7].as_py(),
        ".dcm": str(dcmread(by_kind[".dcm"]).PatientID),
        ".db": in_labels,
        ".pt": in_archive,
    }
    identities = other_identities(400, seed=2)
    for value in inside.values():
        identities.add("id", value)
    suffixes = {Path(finding.file).suffix for finding in verify([tmp_path], identities).findings}
    assert suffixes == set(inside)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_verify_gives_no_false_alarm_on_10000_files(tmp_path: Path) -> None:
    CleanFiles(seed=3).write(tmp_path / "out", 10_000)
    result = verify([tmp_path / "out"], other_identities(1000, seed=4))
    assert result.findings == ()
    assert result.unread == ()
    assert result.files == 10_000


@pytest.mark.slow
def test_verify_reads_no_name_in_pictures_without_text(tmp_path: Path) -> None:
    if not tesseract_available():
        pytest.skip("tesseract is not installed: no picture has been read")
    draw, frames = np.random.default_rng(5), np.zeros((200, 112, 112), np.uint8)
    for frame in frames:
        side = int(draw.integers(20, 100))
        speckle = np.clip(draw.gamma(2.0, draw.uniform(5, 60), (side, side)), 0, 255).astype(np.uint8)
        frame[12:102, 8:104] = np.asarray(Image.fromarray(speckle).resize((96, 90), Image.Resampling.BICUBIC))
    np.save(tmp_path / "frames.npy", frames)
    result = verify([tmp_path], other_identities(1000, seed=4), read_pictures=True)
    assert result.pictures == 200
    assert result.findings == ()
