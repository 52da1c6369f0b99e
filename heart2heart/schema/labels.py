"""The tables of the label store, their migration from older versions, and the columns of a labeling queue.

Version 1 had labels of views only. Version 2 adds the other fields of a reading (kind, answer, confidence, pixel hash,
seconds, suggestion) and numbers the events of each clip. Version 3 adds the plans of double reading. Version 4 adds the
events of clips that are no readings of a view: quality, marked frames, notes, tasks, gold labels.
"""

from __future__ import annotations

import sqlite3

import pyarrow as pa

SCHEMA_VERSION = 4
CLIP_EVENTS_SINCE = 4
"""First version with the table `clip_events`."""

V1_COLUMNS = ("clip", "frame", "view", "rater", "at", "source", "taxonomy")
"""Columns of an event in version 1; the other fields of `LabelEvent` take their defaults."""

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

_CREATE_CLIP_EVENTS = """
CREATE TABLE clip_events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  identifier TEXT NOT NULL UNIQUE,
  clip TEXT NOT NULL,
  kind TEXT NOT NULL,
  rater TEXT NOT NULL,
  at TEXT NOT NULL,
  value TEXT NOT NULL,
  recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)"""


def _forbid_changes(connection: sqlite3.Connection, table: str, what: str) -> None:
    """Add triggers that refuse to change or delete the rows of a table."""
    for name, action in (("keep", "UPDATE"), ("stay", "DELETE")):
        refusal = f"SELECT RAISE(ABORT, '{what} are kept')"
        connection.execute(f"CREATE TRIGGER {table}_{name} BEFORE {action} ON {table} BEGIN {refusal}; END")


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a label store; 0 is an empty file."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    assert isinstance(version, int)
    return version


def migrate_schema(connection: sqlite3.Connection) -> None:
    """Migrate an empty file or an older label store to `SCHEMA_VERSION`, within the caller's transaction."""
    version = schema_version(connection)
    if version == 0:
        connection.execute(_CREATE_EVENTS.format(name="events"))
    elif version == 1:
        _migrate_from_v1(connection)
    if version < 2:
        _forbid_changes(connection, "events", "label events")
    if version < 3:
        connection.execute(_CREATE_PLANS)
        _forbid_changes(connection, "plans", "plans")
    connection.execute(_CREATE_CLIP_EVENTS)
    _forbid_changes(connection, "clip_events", "events of clips")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _migrate_from_v1(connection: sqlite3.Connection) -> None:
    """Copy every event of version 1 with its number, identifier and time of record; its triggers drop with it."""
    kept = ", ".join(("number", "identifier", *V1_COLUMNS, "recorded"))
    connection.execute(_CREATE_EVENTS.format(name="renewed"))
    connection.execute(
        f"INSERT INTO renewed ({kept}, version)"
        f" SELECT {kept}, row_number() OVER (PARTITION BY clip ORDER BY number) FROM events ORDER BY number"
    )
    connection.execute("DROP TABLE events")
    connection.execute("ALTER TABLE renewed RENAME TO events")


QUEUE_METADATA_KEY = b"heart2heart.queue"
"""Metadata key of a Parquet queue under which its settings and its run are kept, as JSON."""


QUEUE_SCHEMA = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),  # the reason, shown to raters; it names no view
        pa.field("rank", pa.int32(), nullable=False),  # from 1
        pa.field("score", pa.float64(), nullable=False),  # by the measure of the strategy
        pa.field("cost", pa.float64(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("view", pa.string()),  # most likely view by the run; null without a run
        pa.field("probability", pa.float32()),
        pa.field("inclusion", pa.float64()),  # probability that the draw selects the clip; null if it is no random draw
    ]
)
"""One row a clip, in the order of labeling; the page reads `clip` and `why`."""
