"""The file of answers, which grows while files are classified and is read back to go on after a stop."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from heart2heart.errors import ConfigError, ExistsError, MissingInputError, RunError, StoreError, UnwritableError
from heart2heart.schema.answer_file import ANSWER_FILE_VERSION, AnswerFileHeader
from heart2heart.schema.clip_answer import AnswerStatus, ClipAnswer
from heart2heart.schema.status import CODES
from heart2heart.utils import is_disk_full, make_private_file, no_space

MAX_LINE_BYTES = 2**20
"""Longest line that is read, bytes."""

_REMEDY = "Name another file, or move this one away and predict again"


class AnswerFile:
    """A file of answers that is open for appending; get it from `AnswerFile.open`.

    Attributes:
        path: The file.
        header: What all its answers share.
        settled: Names of the files that have an answer which another start would not change.
        dropped: Whether its last line was damaged, by a stop in the middle of it, and was removed.
        has_clips: Whether any answer is of a file with frames.
    """

    def __init__(self, path: Path, handle: IO[bytes], header: AnswerFileHeader) -> None:
        self.path, self.header = path, header
        self.settled: set[str] = set()
        self.dropped = self.has_clips = False
        self._handle = handle

    @classmethod
    @contextmanager
    def open(cls, path: Path, header: AnswerFileHeader) -> Iterator[AnswerFile]:
        """Make a file of answers (mode 0600), or open one to go on.

        Args:
            path: The file.
            header: What all its answers share.

        Raises:
            RunError: the file holds answers of another model, or with other settings.
            StoreError: it is no file of answers, or a line in its middle is damaged.
            ExistsError: another process writes to it.
            UnwritableError: nothing can be written there.
            NoSpaceError: the disk is full.
        """
        with _locked(path) as handle:
            opened = cls(path, handle, header)
            opened._read()
            yield opened

    def append(self, answers: Sequence[ClipAnswer]) -> None:
        """Append answers, all or none, and flush them to the disk.

        Raises:
            NoSpaceError: the disk is full; the file ends with the answers before.
        """
        self._write("".join(f"{answer.to_line()}\n" for answer in answers))
        self.settled.update(answer.file for answer in answers)
        self.has_clips |= any(answer.frames for answer in answers)

    def _read(self) -> None:
        end = 0
        with self.path.open("rb", buffering=2**16) as lines:
            for line_number, line in enumerate(_lines(lines, self.path), start=1):
                try:
                    if line_number == 1:
                        self._check_header(line)
                    else:
                        answer = _parse(line, self.path, line_number)
                        self.has_clips |= answer.frames > 0
                        (self.settled.add if _is_settled(answer) else self.settled.discard)(answer.file)
                except StoreError:
                    if lines.read(1):  # not the last line
                        raise
                    self._require_ours(line_number, line)
                    self.dropped = True
                    break
                end += len(line)
        self._handle.truncate(end)
        self._handle.seek(end)
        if end == 0:
            self._write(f"{self.header.model_dump_json()}\n")

    def _require_ours(self, line_number: int, line: bytes) -> None:
        """Refuse to empty a file whose only line is no beginning of a header."""
        start = self.header.model_dump_json().encode()[:30]
        if line_number == 1 and not (line.startswith(start) or start.startswith(line.rstrip(b"\0"))):
            raise StoreError("this is no file of answers", where=self.path, remedy=_REMEDY)

    def _check_header(self, line: bytes) -> None:
        present = _parse_header(line, self.path)
        differing = self.header.differing(present)
        if differing:
            what = f"this file holds answers of another model or other settings; differing: {', '.join(differing)}"
            raise RunError(what, where=self.path, remedy="Name another file for these answers")

    def _write(self, text: str) -> None:
        end = self._handle.tell()
        try:
            content = memoryview(text.encode())
            while content:
                content = content[self._handle.write(content) :]
            os.fsync(self._handle.fileno())
        except OSError as error:
            self._handle.truncate(end)
            self._handle.seek(end)
            if is_disk_full(error):
                raise no_space(self.path) from error
            raise


def read_answers(path: Path) -> tuple[AnswerFileHeader, Iterator[ClipAnswer]]:
    """Return the header and the answers of a file, in the order of the lines; of several for a file the last one.

    A damaged last line is left out.

    Args:
        path: The file.

    Raises:
        MissingInputError: no such file.
        StoreError: it is no file of answers; while the answers are read also: a line in its middle is damaged.
    """
    last: dict[str, int] = {}
    try:
        with path.open("rb", buffering=2**16) as handle:
            header = _parse_header(next(_lines(handle, path), b""), path)
            for line_number, answer in _answers(handle, path):
                last[answer.file] = line_number
    except FileNotFoundError as error:
        raise MissingInputError("no file of answers here", where=path, remedy="Make it with --out") from error
    except OSError as error:
        raise MissingInputError(f"this file cannot be read ({error.strerror})", where=path) from error
    return header, _last_answers(path, set(last.values()))


def _last_answers(path: Path, numbers: set[int]) -> Iterator[ClipAnswer]:
    with path.open("rb", buffering=2**16) as handle:
        handle.readline()
        for line_number, answer in _answers(handle, path):
            if line_number in numbers:
                yield answer


def _answers(handle: IO[bytes], path: Path) -> Iterator[tuple[int, ClipAnswer]]:
    """Yield number and answer of the lines behind the header, without a damaged last one."""
    for line_number, line in enumerate(_lines(handle, path), start=2):
        try:
            yield line_number, _parse(line, path, line_number)
        except StoreError:
            if handle.read(1):
                raise
            return


def _is_settled(answer: ClipAnswer) -> bool:
    return answer.status != AnswerStatus.FAILED or answer.code is None or not CODES[answer.code].retried


def _lines(handle: IO[bytes], path: Path) -> Iterator[bytes]:
    while line := handle.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise StoreError("this is no file of answers: a line is too long", where=path, remedy=_REMEDY)
        yield line


def _parse(line: bytes, path: Path, number: int) -> ClipAnswer:
    where = f"{path}, line {number}"
    if not line.endswith(b"\n"):
        raise StoreError("this line is cut short", where=where, remedy=_REMEDY)
    try:
        return ClipAnswer.from_line(line, where=where)
    except ConfigError as error:
        raise StoreError("this line of the answers is damaged", where=where, remedy=_REMEDY) from error


def _parse_header(line: bytes, path: Path) -> AnswerFileHeader:
    try:
        header = AnswerFileHeader.model_validate_json(line if line.endswith(b"\n") else b"")
    except ValidationError as error:
        raise StoreError("this is no file of answers", where=path, remedy=_REMEDY) from error
    if header.schema_version != ANSWER_FILE_VERSION:
        what = f"these answers have layout {header.schema_version}; this version reads {ANSWER_FILE_VERSION}"
        raise RunError(what, where=path, remedy=_REMEDY)
    return header


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for one writer, unbuffered for writing."""
    try:
        if path.exists() and not path.is_file():
            raise StoreError("this is no file of answers", where=path, remedy=_REMEDY)
        make_private_file(path)
        handle = path.open("r+b", buffering=0)
    except OSError as error:
        if is_disk_full(error):
            raise no_space(path) from error
        remedy = "Name a file in a folder with write permission"
        raise UnwritableError(f"nothing can be written here ({error.strerror})", where=path, remedy=remedy) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            remedy = "Wait until it is done, or name another file"
            raise ExistsError("another prediction writes to this file", where=path, remedy=remedy) from error
        yield handle
