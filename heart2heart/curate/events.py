"""The label book: an append-only SQLite file of label events.

SQLite in WAL mode lets several raters write at once; triggers refuse to change or delete an event, so a correction is
a later event.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.views import TAXONOMY_VERSION, VIEWS

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class LabelEvent:
    """One statement of one rater.

    Attributes:
        clip: Pseudonym of the clip.
        frame: Identifier of the frame, or empty when the label is of the whole clip.
        view: A name of `views.VIEWS`.
        rater: Who said so.
        at: When, ISO 8601; empty when unknown.
        source: Where the event came from, e.g. `csv:clinical`.
        taxonomy: Version of the view taxonomy.
    """

    clip: str
    frame: str
    view: str
    rater: str
    at: str
    source: str
    taxonomy: str = TAXONOMY_VERSION

    @property
    def identifier(self) -> str:
        """Hash of the statement: the same statement imported twice is one event."""
        said = (self.clip, self.frame, self.view, self.rater, self.at, self.taxonomy)
        return hashlib.sha256("\x1f".join(said).encode()).hexdigest()


_COLUMNS = tuple(field.name for field in fields(LabelEvent))

_DDL = f"""
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  identifier TEXT NOT NULL UNIQUE,
  {", ".join(f"{name} TEXT NOT NULL" for name in _COLUMNS)},
  recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE INDEX IF NOT EXISTS events_clip ON events (clip);
CREATE TRIGGER IF NOT EXISTS events_keep BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'label events are kept'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'label events are kept'); END;
PRAGMA user_version = {SCHEMA_VERSION};
"""


class LabelBook:
    """The label events of one project.

    Args:
        path: The SQLite file; made on the first `append`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        if not make and not self.path.exists():
            remedy = "Import labels first: heart2heart labels import labels.csv --labels FILE --store STORE"
            raise MissingInputError("no label book here", where=self.path, remedy=remedy)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                remedy = "Update heart2heart"
                raise LabelError("this label book was written by a newer version", where=self.path, remedy=remedy)
            if make and version == 0:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_DDL)
            yield connection
        except sqlite3.DatabaseError as error:
            remedy = "Name a label book, or wait if another program holds it"
            raise LabelError(f"this label book cannot be used ({error})", where=self.path, remedy=remedy) from error
        finally:
            connection.close()

    def append(self, events: Sequence[LabelEvent]) -> int:
        """Write events, all or none, and return how many were new.

        Raises:
            UnknownNameError: a view that the taxonomy does not have.
            LabelError: the file is not a label book, or is locked.
        """
        for event in events:
            if event.view not in VIEWS:
                raise UnknownNameError.among("view", event.view, list(VIEWS))
        names = ", ".join(("identifier", *_COLUMNS))
        marks = ", ".join("?" * (1 + len(_COLUMNS)))
        with self._open(make=True) as connection, connection:
            before = connection.total_changes
            connection.executemany(
                f"INSERT OR IGNORE INTO events ({names}) VALUES ({marks})",
                [(event.identifier, *astuple(event)) for event in events],
            )
            return connection.total_changes - before

    def events(self) -> list[LabelEvent]:
        """Return all events in the order in which they were recorded."""
        with self._open() as connection:
            rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM events ORDER BY number").fetchall()
        return [LabelEvent(*row) for row in rows]
