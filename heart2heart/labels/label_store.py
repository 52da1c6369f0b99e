"""The label book: an append-only SQLite file of label events.

SQLite in WAL mode lets several raters write at once; triggers refuse to change or delete an event, so a correction is
a later event. What `append` returned from is on the disk: the write-ahead log is flushed with each transaction.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import LabelError, LabelStoreBusyError, MissingInputError
from heart2heart.labels.double_reading import DoubleReadingPlan
from heart2heart.labels.events import EVENT_COLUMNS, LabelEvent, active_events
from heart2heart.notebook import data_frame, html_card, html_table
from heart2heart.schema import labels

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StoredEvent:
    """An event with its place in the book.

    Attributes:
        number: Grows with each event of the book; it may skip.
        version: Position among the events of its clip, from 1. A clip's version is that of its last event.
        event: What was said.
    """

    number: int
    version: int
    event: LabelEvent


ConflictCheck = Callable[[Sequence[StoredEvent]], None]
"""Sees what is recorded of the clips to be written, nobody else writing, and raises to refuse."""


class LabelStore:
    """The label events of one project.

    Args:
        path: The SQLite file; made on the first `append`.
        timeout: Seconds to wait for another program that writes.
    """

    def __init__(self, path: str | Path, *, timeout: float = 30.0) -> None:
        self.path, self._timeout = Path(path), timeout

    @contextmanager
    def _open(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        if not make and not self.path.exists():
            remedy = "Import labels first: heart2heart labels import labels.csv --labels FILE --store STORE"
            raise MissingInputError("no label book here", where=self.path, remedy=remedy)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None)
            try:
                if labels.schema_version(connection) > labels.SCHEMA_VERSION:
                    remedy = "Update heart2heart"
                    raise LabelError("this label book was written by a newer version", where=self.path, remedy=remedy)
                yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise self._as_label_error(error) from error

    def _as_label_error(self, error: sqlite3.DatabaseError) -> LabelError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte is the primary code
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            remedy = "Wait until it is done, then do the same again; nothing was written"
            return LabelStoreBusyError("another program holds this label book", where=self.path, remedy=remedy)
        remedy = "Name a label book; a damaged one is restored from a copy"
        return LabelError(f"this label book cannot be used ({error})", where=self.path, remedy=remedy)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the book alone until the block ends; write all of it or none."""
        with self._open(make=True) as connection:
            if labels.schema_version(connection) == 0:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                if labels.schema_version(connection) < labels.SCHEMA_VERSION:
                    labels.migrate_schema(connection)
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def keep_open(self) -> Iterator[None]:
        """Keep the book's log open for a time of many small writes.

        Without another connection each write ends by folding the log into the file, which takes as long again.
        """
        with self._open() as connection:
            connection.execute("SELECT max(number) FROM events").fetchone()
            yield

    def append(self, events: Sequence[LabelEvent], *, check: ConflictCheck | None = None) -> int:
        """Write events, all or none, and return how many were new.

        Args:
            events: What was said.
            check: Called with the entries of the same clips while nobody else can write. This is how two raters, or
                two windows of one, never write over what they have not seen.

        Raises:
            UnknownNameError: a view that the taxonomy does not have.
            LabelError: an event contradicts itself; the file is not a label book.
            LabelBookBusyError: another program held the book for longer than `patience`.
        """
        for event in events:
            event.check()
        names = ", ".join(("identifier", *EVENT_COLUMNS))
        marks = ", ".join("?" * (1 + len(EVENT_COLUMNS)))
        statement = (
            f"INSERT OR IGNORE INTO events ({names}, version) "
            f"VALUES ({marks}, (SELECT coalesce(max(version), 0) + 1 FROM events WHERE clip = ?))"
        )
        with self._writing() as connection:
            if check is not None:
                clips = sorted({event.clip for event in events})
                check([entry for clip in clips for entry in _read_entries(connection, "clip = ?", clip)])
            before = connection.total_changes
            connection.executemany(statement, [(event.identifier, *astuple(event), event.clip) for event in events])
            return connection.total_changes - before

    def to_frame(self) -> pd.DataFrame:
        """Return all events as a pandas DataFrame, one row an event, in the order in which they were recorded.

        Raises:
            MissingInputError: no label book here.
            ConfigError: pandas is not installed.

        Example:
            >>> import heart2heart as h2h
            >>> h2h.LabelStore("labels.db").to_frame()["value"].nunique()
            4
        """
        rows = [dict(zip(EVENT_COLUMNS, astuple(event), strict=True)) for event in self.events()]
        return data_frame(rows)

    def __repr__(self) -> str:
        """Return the file and the number of events."""
        if not self.path.exists():
            return f"<LabelStore({self.path.name!r}): no labels yet>"
        return f"<LabelStore({self.path.name!r}): {len(self.events())} events>"

    def _repr_html_(self) -> str:
        """Return the number of clips by view and of raters, for a notebook; no rater is named."""
        events = self.events() if self.path.exists() else []
        raters, views = {event.rater for event in events}, Counter(event.value for event in active_events(events))
        title = f"LabelStore {self.path.name}: {len(events)} events, {len(raters)} raters"
        return html_card(title, html_table(("value", "events"), sorted(views.items())))

    def events(self) -> list[LabelEvent]:
        """Return all events in the order in which they were recorded."""
        return [entry.event for entry in self.entries()]

    def entries(self, after: int = 0) -> list[StoredEvent]:
        """Return the events behind number `after` with their numbers, in order."""
        with self._open() as connection:
            return _read_entries(connection, "number > ?", after)

    def plan(self, resolve: Callable[[DoubleReadingPlan | None], DoubleReadingPlan]) -> DoubleReadingPlan:
        """Return the plan of double reading after `resolve`, and keep it; earlier plans stay in the book beside it.

        Args:
            resolve: Given the plan that stands, None if there is none yet; it may raise to refuse.
        """
        with self._writing() as connection:
            found = connection.execute("SELECT share, seed FROM plans ORDER BY number DESC LIMIT 1").fetchone()
            kept = None if found is None else DoubleReadingPlan(*found)
            plan = resolve(kept)
            if plan != kept:
                connection.execute("INSERT INTO plans (share, seed) VALUES (?, ?)", (plan.share, plan.seed))
            return plan


def _read_entries(connection: sqlite3.Connection, where: str, value: str | int) -> list[StoredEvent]:
    """Return the entries for which `where` holds; a book of version 1 is read as it is."""
    version = labels.schema_version(connection)
    if version == 0:
        return []
    columns = labels.V1_COLUMNS if version == 1 else EVENT_COLUMNS
    place = "row_number() OVER (PARTITION BY clip ORDER BY number)" if version == 1 else "version"
    query = f"SELECT number, {place}, {', '.join(columns)} FROM events WHERE {where} ORDER BY number"
    found = []
    for number, position, *values in connection.execute(query, (value,)):
        said = dict(zip(columns, values, strict=True))
        if "suggestion_shown" in said:
            said["suggestion_shown"] = bool(said["suggestion_shown"])
        found.append(StoredEvent(number, position, LabelEvent(**said)))
    return found
