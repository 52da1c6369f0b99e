"""A file of chained records: what is appended is read, whatever is changed is noticed, and a torn line is left out."""

from __future__ import annotations

import errno
import json
import multiprocessing
from functools import partial
from pathlib import Path

import pytest

from heart2heart.errors import NoSpaceError, StoreError, UnwritableError
from heart2heart.schema.chained_lines import ChainedLines, append_lines, read_lines

read = partial(read_lines, what="list", remedy="Restore it", max_bytes=20_000)


def append(path: Path, *names: str) -> None:
    append_lines(
        path, lambda lines: [{"name": name} for name in names], partial(read, path), what="list", max_bytes=20_000
    )


def names(path: Path) -> list[str]:
    return [record["name"] for record in read(path).records]


def test_append_lines_keeps_what_was_there_and_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "list.jsonl"
    assert read(path) == ChainedLines()
    append(path, "a", "b")
    before = path.read_bytes()
    append(path, "c")
    assert path.read_bytes().startswith(before)
    assert names(path) == ["a", "b", "c"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_append_lines_removes_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    append(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-7])
    assert names(path) == ["a"]
    append(path, "c")
    assert names(path) == ["a", "c"]


def test_append_lines_writes_nothing_where_the_choice_fails(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    append(path, "a")
    before = path.read_bytes()
    with pytest.raises(KeyError):
        append_lines(path, lambda lines: [lines.records[0]["missing"]], partial(read, path), what="list", max_bytes=99)
    with pytest.raises(StoreError, match="would have more than 20,000 bytes"):
        append(path, *("b" * 50 for _ in range(200)))
    assert path.read_bytes() == before


def _append_many(path: Path, name: str) -> None:
    for index in range(20):
        append(path, f"{name}{index}")


def test_append_lines_takes_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append_many, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(names(path)) == sorted(f"{name}{index}" for name in "abc" for index in range(20))
    assert [name for name in names(path) if name.startswith("a")] == [f"a{index}" for index in range(20)]


def test_append_lines_refuses_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").mkdir()
    with pytest.raises(UnwritableError, match="cannot be written"):
        append(tmp_path / "list.jsonl", "a")
    with pytest.raises(StoreError, match="no regular file"):
        append(Path("/dev/null"), "a")


def test_append_lines_leaves_the_file_as_it_was_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.jsonl"
    append(path, "a")
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("heart2heart.schema.chained_lines.os.fsync", full)
    with pytest.raises(NoSpaceError):
        append(path, "b")
    assert path.read_bytes() == before


def changed(lines: list[str]) -> list[list[str]]:
    """Return every way in which a reader must notice a change."""
    edited = json.loads(lines[1]) | {"name": "z"}
    return [
        [lines[0], json.dumps(edited), lines[2]],
        [lines[1], lines[2]],
        [lines[0], lines[2]],
        [lines[0], lines[2], lines[1]],
        [lines[0], lines[0], lines[1], lines[2]],
        ["nothing", *lines],
        [*lines, "[1, 2]"],
        [*lines, "{}"],
        [*lines, "[" * 9000],
        [*lines, ""],
    ]


@pytest.mark.parametrize("way", range(10))
def test_read_lines_notices_a_changed_file(tmp_path: Path, way: int) -> None:
    path = tmp_path / "list.jsonl"
    append(path, "a", "b", "c")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(changed(lines)[way]) + "\n")
    with pytest.raises(StoreError, match="was changed"):
        read(path)


def test_read_lines_refuses_a_large_file_and_one_that_others_may_write(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    append(path, "a")
    path.chmod(0o660)
    with pytest.raises(StoreError, match=r"others may write this list.*chmod 600"):
        read(path)
    path.chmod(0o600)
    path.write_bytes(b" " * 20_001)
    with pytest.raises(StoreError, match="more than 20,000 bytes"):
        read(path)
