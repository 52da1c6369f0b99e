"""The tables of the label store, and how a book of an older version becomes one of today's.

Version 1 knew labels of views only. Version 2 adds what is said beside a view (kind, answer, confidence, pixels, time
taken, what the model had suggested) and numbers the events of each clip. Version 3 keeps the plans of double reading.
"""

from __future__ import annotations

import sqlite3

SCHEMA_VERSION = 3

V1_COLUMNS = ("clip", "frame", "view", "rater", "at", "source", "taxonomy")
"""What a book of version 1 holds of an event; the rest of `LabelEvent` has its defaults."""

_CREATE_EVENTS = """
CREATE TABLE {name} (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  identifier TEXT NOT NULL UNIQUE,
  clip TEXT NOT NULL,
  frame TEXT NOT NULL,
  view TEXT NOT NULL,
  rater TEXT NOT NULL,
  at TEXT NOT NULL,
  source TEXT NOT NULL,
  taxonomy TEXT NOT NULL,
  kind TEXT NOT NULL DEFAULT 'label',
  answer TEXT NOT NULL DEFAULT 'view',
  confidence REAL,
  frame_hash TEXT NOT NULL DEFAULT '',
  seconds REAL,
  suggestion TEXT NOT NULL DEFAULT '',
  suggested_by TEXT NOT NULL DEFAULT '',
  suggestion_shown INTEGER NOT NULL DEFAULT 0,
  retracts TEXT NOT NULL DEFAULT '',
  version INTEGER NOT NULL,
  recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (clip, version)
)"""

_CREATE_PLANS = """
CREATE TABLE plans (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  share REAL NOT NULL,
  seed INTEGER NOT NULL,
  recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)"""


def _forbid_changes(connection: sqlite3.Connection, table: str, what: str) -> None:
    """Let nobody change or delete what stands in a table."""
    for name, action in (("keep", "UPDATE"), ("stay", "DELETE")):
        refusal = f"SELECT RAISE(ABORT, '{what} are kept')"
        connection.execute(f"CREATE TRIGGER {table}_{name} BEFORE {action} ON {table} BEGIN {refusal}; END")


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the version of a book; 0 is an empty file."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    assert isinstance(found, int)
    return found


def migrate_schema(connection: sqlite3.Connection) -> None:
    """Bring an empty file or an older book to `VERSION`, within the caller's transaction."""
    version = schema_version(connection)
    if version == 0:
        connection.execute(_CREATE_EVENTS.format(name="events"))
    elif version == 1:
        _migrate_from_v1(connection)
    if version < 2:
        _forbid_changes(connection, "events", "label events")
    connection.execute(_CREATE_PLANS)
    _forbid_changes(connection, "plans", "plans")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _migrate_from_v1(connection: sqlite3.Connection) -> None:
    """Copy every event of version 1 with its number, identifier and time of record; the triggers go with the table."""
    kept = ", ".join(("number", "identifier", *V1_COLUMNS, "recorded"))
    connection.execute(_CREATE_EVENTS.format(name="renewed"))
    connection.execute(
        f"INSERT INTO renewed ({kept}, version)"
        f" SELECT {kept}, row_number() OVER (PARTITION BY clip ORDER BY number) FROM events ORDER BY number"
    )
    connection.execute("DROP TABLE events")
    connection.execute("ALTER TABLE renewed RENAME TO events")
