"""Finding files: each once, in order, loops and blind alleys included."""

import os
from pathlib import Path

import pytest

from heart2heart.errors import MissingInputError
from heart2heart.ingest.discover import find_files


def test_find_files_lists_hidden_and_nested_files_and_each_once(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a/.d", "écho 心臓/e f"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    files = find_files([tmp_path, tmp_path / "a" / "..", tmp_path / "b"])
    assert files == sorted(tmp_path / name for name in ("b", "a/c", "a/.d", "écho 心臓/e f"))


def test_find_files_ends_in_loops_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "file").touch()
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "far").touch()
    (tmp_path / "in" / "elsewhere").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "broken").symlink_to(tmp_path / "nothing")
    names = [str(path.relative_to(tmp_path / "in")) for path in find_files([tmp_path / "in"])]
    assert names == ["broken", "deep/file", "elsewhere/far"]


def test_find_files_leaves_the_store_out(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").touch()
    (tmp_path / "file").touch()
    assert find_files([tmp_path], outside=tmp_path / "store") == [tmp_path / "file"]


def test_find_files_makes_relative_paths_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert find_files([Path("file"), Path("./file")]) == [tmp_path / "file"]


def test_find_files_lists_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "file").touch()
    plain = os.listdir

    def guarded(path: str | Path) -> list[str]:
        if Path(path).name == "shut":
            raise PermissionError(13, "denied")
        return plain(path)

    monkeypatch.setattr(os, "listdir", guarded)
    assert find_files([tmp_path]) == [tmp_path / "file", tmp_path / "shut"]


def test_find_files_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        find_files([tmp_path / "nowhere"])
    with pytest.raises(MissingInputError, match="no file found"):
        find_files([tmp_path])
