"""A file of answers grows by whole answers, goes on after a stop, and refuses what does not belong to it."""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import ExistsError, MissingInputError, NoSpaceError, RunError, StoreError, UnwritableError
from heart2heart.prediction import answer_file
from heart2heart.prediction.answer_file import AnswerFile, read_answers
from heart2heart.schema.status import StatusCode
from tests.prediction.samples import MODEL, answer, failure, header


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with AnswerFile.open(tmp_path / "answers.jsonl", header()) as answers:
        answers.append([answer("a.dcm"), failure("b.dcm", StatusCode.FAILED_UNREADABLE)])
        answers.append([failure("c.dcm", StatusCode.EXCLUDED_NOT_DICOM), answer("d.dcm")])
    return tmp_path / "answers.jsonl"


def test_open_goes_on_with_what_is_not_settled(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with AnswerFile.open(path, header(model=MODEL.model_copy(update={"name": "moved"}))) as answers:
        assert answers.settled == {"a.dcm", "c.dcm", "d.dcm"}  # an unreadable file is tried again
        assert not answers.dropped
        answers.append([answer("b.dcm")])
    first, rows = read_answers(path)
    assert first == header()
    assert [(each.file, each.status.value) for each in rows] == [
        ("a.dcm", "answered"), ("c.dcm", "failed"), ("d.dcm", "answered"), ("b.dcm", "answered"),
    ]  # fmt: skip


@pytest.mark.parametrize("tail", [b'{"file": "e', b"\0" * 40, b'{"file": "e.dcm"}\n'], ids=["cut", "zeros", "garbage"])
def test_open_drops_a_damaged_last_line(path: Path, tail: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert [each.file for each in read_answers(path)[1]] == ["a.dcm", "b.dcm", "c.dcm", "d.dcm"]
    with AnswerFile.open(path, header()) as answers:
        assert answers.dropped
        assert "d.dcm" in answers.settled
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [0, 1, 60])
def test_open_goes_on_after_a_stop_in_the_header(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with AnswerFile.open(path, header()) as answers:
        answers.append([answer("a.dcm")])
    assert [each.file for each in read_answers(path)[1]] == ["a.dcm"]


def test_open_refuses_a_damaged_line_in_the_middle(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{}\n" + b"".join(lines[2:]))
    with pytest.raises(StoreError, match="line 2"), AnswerFile.open(path, header()):
        pass
    with pytest.raises(StoreError, match="line 2"):
        read_answers(path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"frames": "even:8"}, "frames"),
        ({"classes": ("PLAX",)}, "classes"),
        ({"model": MODEL.model_copy(update={"weights_sha256": "c" * 64})}, r"model\.weights_sha256"),
    ],
    ids=["frames", "classes", "weights"],
)
def test_open_refuses_answers_of_another_model(path: Path, changes: dict[str, Any], field: str) -> None:
    before = path.read_bytes()
    with pytest.raises(RunError, match=f"differing: {field}"), AnswerFile.open(path, header(**changes)):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"file,view\n", b"notes", b'{"kind": "other"}\n'], ids=["csv", "text", "json"])
def test_open_keeps_a_file_that_is_not_its_own(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.jsonl").write_bytes(content)
    with pytest.raises(StoreError, match="no file of answers"), AnswerFile.open(tmp_path / "mine.jsonl", header()):
        pass
    assert (tmp_path / "mine.jsonl").read_bytes() == content
    with pytest.raises(StoreError, match="no file of answers"):
        read_answers(tmp_path / "mine.jsonl")


def test_open_refuses_another_layout_and_endless_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_file, "MAX_LINE_BYTES", 50)
    with pytest.raises(StoreError, match="a line is too long"), AnswerFile.open(path, header()):
        pass
    monkeypatch.undo()
    path.write_bytes(path.read_bytes().replace(b'"schema_version":1', b'"schema_version":9', 1))
    with pytest.raises(RunError, match="layout 9; this version reads 1"), AnswerFile.open(path, header()):
        pass


def test_open_refuses_a_second_writer_and_a_folder(path: Path, tmp_path: Path) -> None:
    with (
        AnswerFile.open(path, header()),
        pytest.raises(ExistsError, match="another prediction writes"),
        AnswerFile.open(path, header()),
    ):
        pass
    with pytest.raises(StoreError, match="no file of answers"), AnswerFile.open(tmp_path, header()):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError), AnswerFile.open(tmp_path / "file" / "answers.jsonl", header()):
        pass


def test_append_writes_nothing_half_on_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with AnswerFile.open(path, header()) as answers:
        monkeypatch.setattr("os.fsync", fsync)
        with pytest.raises(NoSpaceError):
            answers.append([answer("e.dcm")])
        assert path.read_bytes() == before
        monkeypatch.undo()
        answers.append([answer("f.dcm")])
    assert [each.file for each in read_answers(path)[1]][-1] == "f.dcm"


def test_read_answers_says_that_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no file of answers here"):
        read_answers(tmp_path / "none.jsonl")
