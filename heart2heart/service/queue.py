"""The queue of the service on the disk: clips, answers and reports, each change one transaction of SQLite."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.clip_answer import ClipAnswer
from heart2heart.schema.service import SERVICE_SCHEMA_VERSION, TABLES, ClipMeasures, ClipState, ReportState
from heart2heart.utils import make_private_file

DATABASE = "service.db"
"""Name of the file in the folder of the service."""


@dataclass(frozen=True)
class AnsweredRow:
    """What is recorded when a clip is answered.

    Attributes:
        name: Name of the clip.
        content: SHA-256 of its file; None where it could not be read.
        study: Keyed hash of its study; None without a readable header.
        patient: Keyed hash of its patient.
        answers: Answer by name of the model.
        measures: What monitoring compares; None without frames.
        needs_report: Whether its file stays for the report of its study.
    """

    name: str
    content: str | None
    study: str | None
    patient: str | None
    answers: Mapping[str, ClipAnswer]
    measures: ClipMeasures | None
    needs_report: bool


@dataclass(frozen=True)
class DueReport:
    """A report that waits for an attempt.

    Attributes:
        number: Its number.
        file: Its file below the folder of reports.
        attempts: Attempts before.
    """

    number: int
    file: str
    attempts: int


class ServiceQueue:
    """The queue; get it from `ServiceQueue.open`. All threads of the service share it.

    Args:
        connection: The database.
        active: Name of the active model.
    """

    def __init__(self, connection: sqlite3.Connection, active: str) -> None:
        self._database, self.active, self._lock = connection, active, threading.RLock()

    @classmethod
    @contextmanager
    def open(cls, folder: Path, active: str) -> Iterator[ServiceQueue]:
        """Create or open the queue of a folder.

        Args:
            folder: Folder of the service.
            active: Name of the active model.

        Raises:
            StoreError: the file is damaged, or of another version.
        """
        path = folder / DATABASE
        make_private_file(path)
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.executescript(f"BEGIN;{TABLES}PRAGMA user_version={SERVICE_SCHEMA_VERSION};COMMIT;")
            elif version != SERVICE_SCHEMA_VERSION:
                what = f"this queue has layout {version}; this version reads {SERVICE_SCHEMA_VERSION}"
                raise StoreError(
                    what, where=path, remedy="Run the version of heart2heart that made it, or name a folder"
                )
            yield cls(connection, active)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise StoreError("this queue is damaged", where=path, remedy="Restore it from a copy") from error
        finally:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            return self._database.execute(sql, values).fetchall()

    def states(self) -> dict[str, ClipState]:
        """Return the state of every clip by name."""
        return {name: ClipState(state) for name, state in self.rows("SELECT name, state FROM clips")}

    def add(self, arrivals: Mapping[str, float]) -> None:
        """Record clips whose files are on the disk, by name, with the time of their arrival, seconds since 1970."""
        with self._transaction() as database:
            database.executemany(
                "INSERT OR IGNORE INTO clips (name, state, received) VALUES (?, ?, ?)",
                [(name, ClipState.WAITING, arrivals[name]) for name in sorted(arrivals)],
            )

    def waiting(self, most: int) -> list[str]:
        """Return the names of clips without an answer, those that came first at the start."""
        sql = "SELECT name FROM clips WHERE state = ? ORDER BY received, name LIMIT ?"
        return [name for (name,) in self.rows(sql, ClipState.WAITING, most)]

    def count(self, state: ClipState) -> int:
        """Return the number of clips in a state."""
        return int(self.rows("SELECT count(*) FROM clips WHERE state = ?", state)[0][0])

    def record(self, rows: Sequence[AnsweredRow]) -> list[float]:
        """Record the answers of clips; return the seconds since the arrival of each that had none before.

        A clip that has an answer keeps it.
        """
        now, seconds = time.time(), list[float]()
        with self._transaction() as database:
            for row in rows:
                answer = row.answers[self.active]
                state = ClipState.ANSWERED if row.needs_report else ClipState.DONE
                measures = None if row.measures is None else row.measures.model_dump_json()
                status = answer.status.value if answer.code is None else answer.code.value
                changed = database.execute(
                    "UPDATE clips SET state = ?, answered = ?, content = ?, study = ?, patient = ?, status = ?,"
                    " view = ?, measures = ? WHERE name = ? AND state = ?",
                    (state, now, row.content, row.study, row.patient, status, answer.sentence, measures, row.name,
                     ClipState.WAITING),
                ).rowcount  # fmt: skip
                if not changed:
                    continue
                sql = "SELECT received FROM clips WHERE name = ?"
                seconds.append(now - database.execute(sql, (row.name,)).fetchone()[0])
                database.executemany(
                    "INSERT INTO answers (clip, model, active, answered, view, line) VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (row.name, model, model == self.active, now, _single_view(each), each.to_line())
                        for model, each in row.answers.items()
                    ],
                )
        return seconds

    def answers(self, clip: str) -> dict[str, ClipAnswer]:
        """Return the answers of a clip by model; empty: it has none."""
        lines = self.rows("SELECT model, line FROM answers WHERE clip = ?", clip)
        return {model: ClipAnswer.from_line(line, where=clip) for model, line in lines}

    def state(self, clip: str) -> ClipState | None:
        """Return the state of a clip; None: no such clip."""
        rows = self.rows("SELECT state FROM clips WHERE name = ?", clip)
        return ClipState(rows[0][0]) if rows else None

    def content(self, clip: str) -> str | None:
        """Return the SHA-256 of a clip's file; None: not known."""
        rows = self.rows("SELECT content FROM clips WHERE name = ?", clip)
        return None if not rows else rows[0][0]

    def quiet_studies(self, seconds: float, scanned_at: float) -> dict[str, list[str]]:
        """Return the studies that had no clip for some seconds, with their clips that are in no report.

        The study of a waiting clip is not known, so a study is quiet only when every clip that arrived within those
        seconds, of whatever study, has an answer.

        Args:
            seconds: How long a study must be quiet.
            scanned_at: The time before which every arrival is in the queue.
        """
        sql = (
            "WITH without_report AS (SELECT study, name FROM clips WHERE state = ? AND report IS NULL) "
            "SELECT study, name FROM without_report WHERE study IN (SELECT study FROM clips WHERE study IN "
            "(SELECT study FROM without_report) GROUP BY study HAVING max(received) + ? <= ? AND max(received) + ? < "
            "coalesce((SELECT min(received) FROM clips WHERE state = ?), 1e18)) ORDER BY study, name"
        )
        studies: dict[str, list[str]] = {}
        for study, name in self.rows(sql, ClipState.ANSWERED, seconds, scanned_at, seconds, ClipState.WAITING):
            studies.setdefault(study, []).append(name)
        return studies

    def answered_at(self, clips: Sequence[str]) -> float:
        """Return the time of the last answer of some clips."""
        marks = ",".join("?" * len(clips))
        return float(self.rows(f"SELECT max(answered) FROM clips WHERE name IN ({marks})", *clips)[0][0])

    def add_report(self, file: str, study: str, clips: Sequence[str]) -> None:
        """Record a report whose file is on the disk, and that its clips are in it."""
        with self._transaction() as database:
            sql = "INSERT OR IGNORE INTO reports (file, study, made, state, due) VALUES (?, ?, ?, ?, 0)"
            database.execute(sql, (file, study, time.time(), ReportState.DUE))
            (number,) = database.execute("SELECT number FROM reports WHERE file = ?", (file,)).fetchone()
            database.executemany("UPDATE clips SET report = ? WHERE name = ?", [(number, clip) for clip in clips])

    def finish_clips(self, clips: Sequence[str]) -> None:
        """Record that nothing is left to do for some clips."""
        with self._transaction() as database:
            database.executemany(
                "UPDATE clips SET state = ? WHERE name = ?", [(ClipState.DONE, clip) for clip in clips]
            )

    def due_reports(self, most: int = 100) -> list[DueReport]:
        """Return the reports whose next attempt is due."""
        sql = "SELECT number, file, attempts FROM reports WHERE state = ? AND due <= ? ORDER BY due, number LIMIT ?"
        return [DueReport(*row) for row in self.rows(sql, ReportState.DUE, time.time(), most)]

    def postpone(self, number: int, seconds: float) -> None:
        """Record a failed attempt at a report, and the wait until the next one."""
        with self._transaction() as database:
            sql = "UPDATE reports SET attempts = attempts + 1, due = ? WHERE number = ?"
            database.execute(sql, (time.time() + seconds, number))

    def settle(self, number: int, state: ReportState) -> list[str]:
        """Record the end of a report; return the clips whose files are not needed any more."""
        with self._transaction() as database:
            database.execute("UPDATE reports SET state = ? WHERE number = ?", (state, number))
            if state != ReportState.STORED:
                return []
            clips = [name for (name,) in database.execute("SELECT name FROM clips WHERE report = ?", (number,))]
            database.execute("UPDATE clips SET state = ? WHERE report = ?", (ClipState.DONE, number))
        return clips

    def retry_refused(self) -> None:
        """Make the reports that the archive refused due again."""
        with self._transaction() as database:
            database.execute(
                "UPDATE reports SET state = ?, due = 0 WHERE state = ?", (ReportState.DUE, ReportState.REFUSED)
            )

    def report_files(self) -> dict[str, ReportState]:
        """Return the state of every report by its file."""
        return {file: ReportState(state) for file, state in self.rows("SELECT file, state FROM reports")}

    def forget(self, days: float) -> None:
        """Remove the rows of clips and reports that were done more than `days` ago."""
        before = time.time() - days * 86_400
        with self._transaction() as database:
            old = "SELECT name FROM clips WHERE state = ? AND answered < ?"
            database.execute(f"DELETE FROM answers WHERE clip IN ({old})", (ClipState.DONE, before))
            database.execute("DELETE FROM clips WHERE state = ? AND answered < ?", (ClipState.DONE, before))
            database.execute("DELETE FROM reports WHERE state = ? AND made < ?", (ReportState.STORED, before))

    def count_event(self, name: str, value: int = 1) -> None:
        """Add to a counter that lasts beyond a restart."""
        with self._transaction() as database:
            sql = "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
            database.execute(sql, (name, value))

    def counts(self) -> dict[str, int]:
        """Return the counters."""
        return dict(self.rows("SELECT name, value FROM counts ORDER BY name"))

    def require_same_models(self, folder: Path, weights: Mapping[str, str]) -> None:
        """Refuse a model whose name another model had in this folder: their answers could not be told apart.

        Raises:
            ConfigError: a name with other weights.
        """
        for name, sha256 in weights.items():
            lines = self.rows("SELECT line FROM answers WHERE model = ? LIMIT 1", name)
            if lines and ClipAnswer.from_line(lines[0][0], where=str(folder)).model.weights_sha256 != sha256:
                what = "another model had this name in this folder"
                raise ConfigError(what, where=name, remedy="Give the new model a name of its own")


def _single_view(answer: ClipAnswer) -> str | None:
    return answer.views[0] if len(answer.views) == 1 else None
