"""A file becomes frames with the hash of its bytes, or a status code."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from heart2heart.datasets.load_picture import load_file
from heart2heart.ingest.source_files import close_archives, members
from heart2heart.prediction.loaded_clip import LoadedClip, PredictionTask
from heart2heart.schema.status import StatusCode
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames, write

GEOMETRY = Geometry(size=16)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clip") / "clip.dcm", speckle_frames(6, seed=4))


def load(path: Path, rule: str = "all") -> LoadedClip:
    task = PredictionTask(GEOMETRY, rule)
    return LoadedClip.from_outcome("name", task(path))


def test_prediction_task_reads_a_clip_as_load_file_does(clip: Path) -> None:
    loaded, expected = load(clip, "even:3"), load_file(clip, geometry=GEOMETRY, rule="even:3")
    assert loaded.pixels is not None
    np.testing.assert_array_equal(loaded.pixels, expected.pixels)
    assert (loaded.mode, loaded.flags, loaded.code) == (expected.facts.mode, expected.facts.flags, None)
    assert loaded.sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert loaded.quality == pytest.approx(np.mean([frame["quality"] for frame in expected.frames]))


def test_prediction_task_reads_members_of_a_zip_file(clip: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(clip, "clip.dcm")
    (member,) = members(tmp_path / "study.zip")
    assert load(member).sha256 == load(clip).sha256
    close_archives()
    (tmp_path / "cut.zip").write_bytes((tmp_path / "study.zip").read_bytes()[:2000])
    loaded = load(tmp_path / "cut.zip")
    assert (loaded.code, loaded.pixels) == (StatusCode.FAILED_ARCHIVE, None)


def test_prediction_task_gives_a_code_for_other_files(tmp_path: Path) -> None:
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "note.txt").write_text("no clip")
    os.mkfifo(tmp_path / "pipe")
    loaded = load(tmp_path / "note.txt")
    assert (loaded.code, loaded.sha256) == (StatusCode.EXCLUDED_NOT_DICOM, hashlib.sha256(b"no clip").hexdigest())
    assert load(tmp_path / "empty.dcm").code == StatusCode.FAILED_EMPTY
    assert load(tmp_path / "gone.dcm").code == StatusCode.FAILED_UNREADABLE
    assert load(tmp_path / "pipe").code is not None
    task = PredictionTask(GEOMETRY, foreign_links=frozenset({tmp_path / "note.txt"}))
    assert task(tmp_path / "note.txt").code == StatusCode.EXCLUDED_OUTSIDE_FOLDER
