"""The label store: an append-only SQLite file of label events.

SQLite in WAL mode lets several raters write at once. Triggers refuse to change or delete an event, so a correction is a
later event. Each transaction flushes the write-ahead log, so the events are on the disk when `append` returns.
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
from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.double_reading import DoubleReadingPlan
from heart2heart.labels.events import EVENT_COLUMNS, LabelEvent, active_events
from heart2heart.labels.stored_taxonomy import require_views_in_use, stored_taxonomy, write_taxonomy
from heart2heart.notebook import data_frame, html_card, html_table
from heart2heart.schema import labels
from heart2heart.schema.enums import ClipEventKind, EventKind, LabelAnswer
from heart2heart.schema.taxonomy import Taxonomy, read_taxonomy
from heart2heart.utils import make_private_file

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StoredEvent:
    """An event with its position in the label store.

    Attributes:
        number: Position in the label store; it grows with each event and may skip.
        version: Position among the events of the clip, from 1. The version of a clip is that of its last event.
        event: The event.
    """

    number: int
    version: int
    event: LabelEvent


ConflictCheck = Callable[[Sequence[StoredEvent]], None]
"""Takes the stored events of the clips to be written, while no other program writes, and raises to refuse the write."""


class LabelStore:
    """The label events of one project.

    Args:
        path: The SQLite file; created by the first `append`.
        timeout: Seconds to wait for another program that writes.
    """

    def __init__(self, path: str | Path, *, timeout: float = 30.0) -> None:
        self.path, self._timeout = Path(path), timeout

    @contextmanager
    def _open(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        if not make and not self.path.exists():
            remedy = "Import labels first: heart2heart labels import labels.csv --labels FILE --store STORE"
            raise MissingInputError("no label store here", where=self.path, remedy=remedy)
        if make and not self.path.exists():
            make_private_file(self.path)  # its journal gets the same mode
        try:
            connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None)
            try:
                if labels.schema_version(connection) > labels.SCHEMA_VERSION:
                    remedy = "Update heart2heart"
                    raise LabelError("this label store was written by a newer version", where=self.path, remedy=remedy)
                yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise self._as_label_error(error) from error

    def _as_label_error(self, error: sqlite3.DatabaseError) -> LabelError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte is the primary code
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            remedy = "Wait until it ends, then try again; nothing was written"
            return LabelStoreBusyError("another program locks this label store", where=self.path, remedy=remedy)
        remedy = "Name a label store, or restore a damaged one from a copy"
        return LabelError(f"this label store cannot be read ({error})", where=self.path, remedy=remedy)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Lock the label store until the block ends; write all of it or none."""
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
        """Keep a connection open during many small writes.

        Without another connection each write ends with a checkpoint of the log, which doubles its time.
        """
        with self._open() as connection:
            connection.execute("SELECT max(number) FROM events").fetchone()
            yield

    def append(self, events: Sequence[LabelEvent], *, check: ConflictCheck | None = None) -> int:
        """Write events, all or none, and return the number of new ones.

        Args:
            events: The events.
            check: Called with the stored events of the same clips while no other program can write. It prevents two
                raters, or two windows of one rater, from overwriting events that they have not seen.

        Raises:
            UnknownNameError: a view that the taxonomy does not have.
            LabelError: an event contradicts itself, or the file is not a label store.
            LabelStoreBusyError: another program locked the label store for longer than `timeout`.
        """
        self._check_views(events)
        names = ", ".join(("identifier", *EVENT_COLUMNS))
        placeholders = ", ".join("?" * (1 + len(EVENT_COLUMNS)))
        statement = (
            f"INSERT OR IGNORE INTO events ({names}, version) "
            f"VALUES ({placeholders}, (SELECT coalesce(max(version), 0) + 1 FROM events WHERE clip = ?))"
        )
        with self._writing() as connection:
            if check is not None:
                clips = sorted({event.clip for event in events})
                check([entry for clip in clips for entry in _read_entries(connection, "clip = ?", clip)])
            changes_before = connection.total_changes
            connection.executemany(statement, [(event.identifier, *astuple(event), event.clip) for event in events])
            return connection.total_changes - changes_before

    def to_frame(self) -> pd.DataFrame:
        """Return all events as a pandas DataFrame, one row an event, in the order in which they were recorded.

        Raises:
            MissingInputError: no label store here.
            ConfigError: pandas is not installed.

        Examples:
            >>> import heart2heart as h2h
            >>> h2h.LabelStore("labels.db").to_frame()["view"].nunique()
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
        """Return all events in the order in which they were recorded, without readings of gold clips."""
        return [entry.event for entry in self.stored_events()]

    def stored_events(self, after: int = 0, *, gold: bool = False) -> list[StoredEvent]:
        """Return the events after number `after`, with their positions, in order.

        Args:
            after: Number of the last event to leave out.
            gold: Whether to return readings of gold clips and their retractions too. They are no labels.
        """
        with self._open() as connection:
            return _read_entries(connection, "number > ?" if gold else f"number > ? AND {_NO_GOLD}", after)

    def append_clip_events(self, events: Sequence[ClipEvent]) -> int:
        """Write events that are no readings of a view, all or none, and return the number of new ones.

        Raises:
            UnknownNameError: a kind or a value that does not exist.
            LabelError: a value does not fit its kind, or the file is not a label store.
            LabelStoreBusyError: another program locked the label store for longer than `timeout`.
        """
        self._check_views(events)
        statement = (
            "INSERT OR IGNORE INTO clip_events (identifier, clip, kind, rater, at, value) VALUES (?, ?, ?, ?, ?, ?)"
        )
        with self._writing() as connection:
            changes_before = connection.total_changes
            connection.executemany(statement, [(event.identifier, *astuple(event)) for event in events])
            return connection.total_changes - changes_before

    def clip_events(self, after: int = 0) -> list[tuple[int, ClipEvent]]:
        """Return number and event of those events that are no readings of a view, in order; see `ClipEvent`.

        Args:
            after: Number of the last event to leave out.

        Raises:
            LabelError: an event is damaged.
        """
        with self._open() as connection:
            if labels.schema_version(connection) < labels.CLIP_EVENTS_SINCE:
                return []
            query = "SELECT number, clip, kind, rater, at, value FROM clip_events WHERE number > ? ORDER BY number"
            rows = connection.execute(query, (after,)).fetchall()
        try:
            return [
                (number, ClipEvent(clip, ClipEventKind(kind), rater, at, value))
                for number, clip, kind, rater, at, value in rows
            ]
        except ValueError as error:
            remedy = "Restore the label store from a copy"
            raise LabelError(
                f"an event of this label store is damaged: {error}", where=self.path, remedy=remedy
            ) from error

    def taxonomy(self) -> Taxonomy:
        """Return the taxonomy of the views; `basic` until another one is adopted."""
        if not self.path.exists():
            return read_taxonomy()
        with self._open() as connection:
            return stored_taxonomy(connection)

    def _check_views(self, events: Sequence[LabelEvent] | Sequence[ClipEvent]) -> None:
        views = self.taxonomy().views
        for event in events:
            event.check(views)

    def adopt_taxonomy(self, taxonomy: Taxonomy) -> None:
        """Use a taxonomy from now on; earlier ones stay in the file.

        Raises:
            LabelError: it lacks views that are in use; the message counts their labels, and nothing changes.
        """
        if self.taxonomy() == taxonomy:
            return
        with self._writing() as connection:
            require_views_in_use(taxonomy, [entry.event for entry in _read_entries(connection, "number > ?", 0)])
            write_taxonomy(connection, taxonomy)

    def update_plan(self, resolve: Callable[[DoubleReadingPlan | None], DoubleReadingPlan]) -> DoubleReadingPlan:
        """Replace the double-reading plan by what `resolve` returns, and return it; earlier plans stay in the file.

        Args:
            resolve: Takes the stored plan, None if there is none yet, and returns the plan to use; may raise to refuse.
        """
        with self._writing() as connection:
            row = connection.execute("SELECT share, seed FROM plans ORDER BY number DESC LIMIT 1").fetchone()
            stored = None if row is None else DoubleReadingPlan(*row)
            plan = resolve(stored)
            if plan != stored:
                connection.execute("INSERT INTO plans (share, seed) VALUES (?, ?)", (plan.share, plan.seed))
            return plan


_NO_GOLD = "kind <> 'gold' AND retracts NOT IN (SELECT identifier FROM events WHERE kind = 'gold')"


def _read_entries(connection: sqlite3.Connection, where: str, value: str | int) -> list[StoredEvent]:
    """Return the stored events for which `where` holds; reads files of version 1 too."""
    version = labels.schema_version(connection)
    if version == 0:
        return []
    if version == 1:  # no kinds yet
        where = where.removesuffix(f" AND {_NO_GOLD}")
    columns = labels.V1_COLUMNS if version == 1 else EVENT_COLUMNS
    position_column = "row_number() OVER (PARTITION BY clip ORDER BY number)" if version == 1 else "version"
    query = f"SELECT number, {position_column}, {', '.join(columns)} FROM events WHERE {where} ORDER BY number"
    stored_events = []
    for number, position, *values in connection.execute(query, (value,)):
        fields = dict(zip(columns, values, strict=True))
        try:
            for name, convert in (("kind", EventKind), ("answer", LabelAnswer), ("suggestion_shown", bool)):
                if name in fields:
                    fields[name] = convert(fields[name])
        except ValueError as error:
            remedy = "Restore the label store from a copy"
            raise LabelError(f"event {number} of this label store is damaged: {error}", remedy=remedy) from error
        stored_events.append(StoredEvent(number, position, LabelEvent(**fields)))
    return stored_events
