"""Every file gets one name below the folder that holds all of them, whatever way leads to it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError
from heart2heart.prediction.sources import list_sources
from heart2heart.schema.status import StatusCode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one/clip.dcm", "two/clip.dcm", "two/deep/clip.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "two" / "study.zip", "w") as archive:
        archive.writestr("a/clip.dcm", b"a")
        archive.writestr("b/clip.dcm", b"b")
    return tmp_path


def test_list_sources_names_files_below_their_common_folder(folder: Path) -> None:
    two = ["clip.dcm", "deep/clip.dcm", "study.zip/000000/clip.dcm", "study.zip/000001/clip.dcm"]
    listed = list_sources([folder / "two"])
    assert (listed.root, [source.file for source in listed.files]) == (folder / "two", two)
    listed = list_sources([folder / "one", folder / "two", folder / "two" / "deep"])  # one of them twice
    assert listed.root == folder
    assert [source.file for source in listed.files] == ["one/clip.dcm", *(f"two/{name}" for name in two)]
    listed = list_sources([folder / "one" / "clip.dcm", folder / "two" / "clip.dcm"])  # two files of one name
    assert [source.file for source in listed.files] == ["one/clip.dcm", "two/clip.dcm"]


def test_list_sources_keeps_a_place_for_what_is_not_there(folder: Path) -> None:
    listed = list_sources([folder / "empty", folder / "gone.dcm", folder / "one"])
    assert [(source.file, source.code) for source in listed.files] == [
        ("one/clip.dcm", None), ("empty", StatusCode.FAILED_MISSING), ("gone.dcm", StatusCode.FAILED_MISSING),
    ]  # fmt: skip
    assert [source.file for source in list_sources([folder / "empty"]).files] == ["empty"]
    with pytest.raises(ConfigError, match="no file is named"):
        list_sources([])


def test_list_sources_tells_links_that_lead_out(folder: Path) -> None:
    (folder / "one" / "machine").symlink_to("/")
    listed = list_sources([folder / "one"])
    assert listed.foreign_links == {folder / "one" / "machine"}


def test_list_sources_writes_names_that_are_no_text(folder: Path) -> None:
    (folder / "one" / os.fsdecode(b"clip\xff.dcm")).touch()
    assert [source.file for source in list_sources([folder / "one"]).files] == ["clip.dcm", r"clip\xff.dcm"]
    (folder / "one" / r"clip\xff.dcm").touch()
    with pytest.raises(ConfigError, match="two files would have one name"):
        list_sources([folder / "one"])
