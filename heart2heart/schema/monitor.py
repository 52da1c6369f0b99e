"""The journal of a monitor: one line of JSON a record, appended and never changed.

The first line fixes the settings and the reference; every week and every audit adds a line. Each line carries its hash
and that of the line before, so a changed journal is noticed. A line that was cut off while it was written is ignored,
and the next append removes it. The journal holds numbers by patient without a name, sorted, and no pseudonym.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import Field, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError, ExistsError, MissingInputError
from heart2heart.utils import sha256_json, write_text

MONITOR_SCHEMA_VERSION = 1
MAX_BYTES = 2**27
"""Largest journal, bytes."""

_REMEDY = "Restore the journal from a copy, or start a new one with `heart2heart monitor start`"


class MonitorSettings(Config):
    """What a monitor watches, and how often it may raise a false alarm."""

    site: str
    """The hospital."""
    method: str
    """The method of the predictions, as they name it."""
    classes: tuple[str, ...]
    """Classes of the model, in order."""
    false_alarms: float = Field(0.05, gt=0, lt=1)
    """Largest probability of any alarm, in all weeks together, while nothing changes."""
    weeks: int = Field(52, ge=1, le=1000)
    """Weeks among whose starts a change is looked for."""
    least_accuracy: float | None = Field(None, gt=0, lt=1)
    """Accuracy, as a mean over patients, below which audited clips raise the alarm; null: it is not watched."""
    seed: int = Field(0, ge=0)
    """Seed of the order within a week and of ties."""


class MonitorStart(Config):
    """First record: the settings and the reference."""

    kind: Literal["start"] = "start"
    """Kind of the record."""
    schema_version: Literal[1] = 1
    """Version of this layout."""
    code_version: str
    """Version of heart2heart."""
    created: str
    """UTC, ISO 8601."""
    settings: MonitorSettings
    """The settings."""
    predictions_sha256: str
    """Hash of the reference's predictions."""
    patients: int = Field(ge=1)
    """Patients of the reference."""
    statistics: dict[str, tuple[float, ...]]
    """Statistic -> its value for each patient of the reference, sorted."""


class MonitorWeek(Config):
    """The patients of one week, or the audited clips of a week that was added before."""

    kind: Literal["week", "audit"]
    """Kind of the record."""
    week: str
    """ISO week, such as `2026-W48`."""
    added: str
    """UTC, ISO 8601."""
    predictions_sha256: str
    """Hash of the week's predictions."""
    patients: int = Field(ge=1)
    """Patients of the week; of an audit, audited patients."""
    statistics: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Statistic -> its value for each patient, sorted; empty in an audit."""
    accuracy: tuple[float, ...] = ()
    """Share of right clips of each audited patient, sorted."""

    @field_validator("week")
    @classmethod
    def _is_a_week(cls, week: str) -> str:
        return parse_week(week)

    @field_validator("accuracy")
    @classmethod
    def _are_shares(cls, accuracy: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= value <= 1 for value in accuracy):
            raise ValueError("an accuracy is not between 0 and 1")
        return accuracy


class MonitorJournal(Config):
    """A journal as it was read."""

    start: MonitorStart
    """The first record."""
    records: tuple[MonitorWeek, ...]
    """The other records, in order."""
    last_sha256: str
    """Hash of the last record."""
    complete_bytes: int
    """Length of the complete lines, bytes; what follows was cut off."""

    def weeks(self, kind: str = "week") -> list[str]:
        """Return the weeks of one kind of record, in order."""
        return [record.week for record in self.records if record.kind == kind]


def parse_week(week: str) -> str:
    """Check an ISO week.

    Raises:
        ValueError: not of the form `2026-W48`, or no week of that year.

    Examples:
        >>> parse_week("2026-W48")
        '2026-W48'
    """
    from datetime import date

    match = re.fullmatch(r"(\d{4})-W(\d{2})", week)
    if match is None:
        raise ValueError(f"{week[:20]!r} is no ISO week such as 2026-W48")
    date.fromisocalendar(int(match[1]), int(match[2]), 1)
    return week


def start_journal(path: Path, start: MonitorStart) -> None:
    """Write a new journal.

    Raises:
        ExistsError: the file exists.
    """
    if path.exists():
        raise ExistsError("a journal is here already", where=path, remedy="Name another file")
    write_text(path, _line(start.model_dump(mode="json"), ""))


def read_journal(path: Path) -> MonitorJournal:
    """Read a journal, and check every hash; a last line that was cut off is left out.

    Raises:
        MissingInputError: no such file.
        EvaluationError: no journal, of another version, changed, or too large.
    """
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        remedy = "Start one with: heart2heart monitor start"
        raise MissingInputError("no journal of a monitor here", where=path, remedy=remedy) from error
    if size > MAX_BYTES:
        raise EvaluationError(f"this journal has more than {MAX_BYTES:,} bytes", where=path, remedy=_REMEDY)
    complete = raw[: raw.rfind(b"\n") + 1]
    contents = [_content(line, path, row) for row, line in enumerate(complete.splitlines(), start=1)]
    if not contents or contents[0].get("kind") != "start":
        raise EvaluationError("this is no journal of a monitor", where=path, remedy=_REMEDY)
    if contents[0].get("schema_version") != MONITOR_SCHEMA_VERSION:
        what = "this journal has another schema version"
        raise EvaluationError(what, where=path, remedy=f"This version reads schema {MONITOR_SCHEMA_VERSION}")
    previous = ""
    for row, content in enumerate(contents, start=1):
        stated, before = content.pop("sha256", None), content.pop("previous", None)
        if before != previous or stated != _hash(content, previous):
            raise EvaluationError("this record was changed", where=f"{path}, line {row}", remedy=_REMEDY)
        previous = str(stated)
    try:
        start = MonitorStart.parse(contents[0], where=path)
        records = tuple(
            MonitorWeek.parse(content, where=f"{path}, line {row}") for row, content in enumerate(contents[1:], 2)
        )
    except ConfigError as error:
        raise EvaluationError(error.what, where=error.where, remedy=_REMEDY) from error
    return MonitorJournal(start=start, records=records, last_sha256=previous, complete_bytes=len(complete))


def append_record(path: Path, record: MonitorWeek) -> MonitorJournal:
    """Append a record to a journal, and return the journal with it.

    Raises:
        MissingInputError, EvaluationError: as `read_journal`.
        ExistsError: the week was added before, the same predictions were, or another program writes the journal.
        ConfigError: an earlier week than the last one, an audit of a week that was not added, or other statistics.
    """
    with _locked(path) as file:
        journal = read_journal(path)
        _check_order(path, journal, record)
        line = _line(record.model_dump(mode="json"), journal.last_sha256).encode()
        file.seek(journal.complete_bytes)
        file.truncate()
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return read_journal(path)


def _check_order(path: Path, journal: MonitorJournal, record: MonitorWeek) -> None:
    weeks, same_kind = journal.weeks(), journal.weeks(record.kind)
    if record.week in same_kind:
        what = f"{record.week} was audited before" if record.kind == "audit" else f"{record.week} was added before"
        raise ExistsError(what, where=path, remedy="A week counts once; a record is never changed")
    if record.kind == "audit" and record.week not in weeks:
        raise ConfigError(f"{record.week} was not added", where=path, remedy="Add the week first: monitor add")
    if record.kind == "week" and weeks and record.week < weeks[-1]:
        what = f"{record.week} is earlier than {weeks[-1]}, which was added before"
        raise ConfigError(what, where=path, remedy="Add the weeks in their order; a week may be left out")
    if record.kind == "week":
        hashes = {journal.start.predictions_sha256, *(each.predictions_sha256 for each in journal.records)}
        if record.predictions_sha256 in hashes:
            what = "the same predictions were added before"
            raise ExistsError(what, where=path, remedy="Predict the clips of the new week")
        if record.statistics.keys() != journal.start.statistics.keys():
            remedy = f"Needed: {', '.join(journal.start.statistics)}; give --store if the reference had one"
            raise ConfigError("the week has other statistics than the reference", where=path, remedy=remedy)


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Open a journal for one writer."""
    try:
        file = path.open("r+b")
    except FileNotFoundError as error:
        remedy = "Start one with: heart2heart monitor start"
        raise MissingInputError("no journal of a monitor here", where=path, remedy=remedy) from error
    except OSError as error:
        raise MissingInputError("this journal cannot be written", where=path, remedy="Check its permissions") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExistsError("another program writes this journal", where=path, remedy="Try again later") from error
        yield file


def _hash(content: dict[str, Any], previous: str) -> str:
    return sha256_json({**content, "previous": previous})


def _line(content: dict[str, Any], previous: str) -> str:
    record = {**content, "previous": previous, "sha256": _hash(content, previous)}
    return json.dumps(record, sort_keys=True, allow_nan=False) + "\n"


def _content(line: bytes, path: Path, row: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        where = f"{path}, line {row}"
        raise EvaluationError("this line of the journal is damaged", where=where, remedy=_REMEDY) from error
    if not isinstance(content, dict):
        raise EvaluationError("this is no journal of a monitor", where=path, remedy=_REMEDY)
    return content
