"""The taxonomy that a label store keeps: the last row of a table that is made when a taxonomy is first adopted."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from heart2heart.errors import ConfigError, LabelError
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.taxonomy import Taxonomy, read_taxonomy

_CREATE = """
CREATE TABLE IF NOT EXISTS taxonomies (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  content TEXT NOT NULL,
  recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)"""

_RESTORE = "Restore the label store from a copy"


def stored_taxonomy(connection: sqlite3.Connection) -> Taxonomy:
    """Return the taxonomy of a label store; `basic` if it never adopted one.

    Raises:
        LabelError: it is damaged.
    """
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'taxonomies'").fetchone() is None:
        return read_taxonomy()
    row = connection.execute("SELECT content, sha256 FROM taxonomies ORDER BY number DESC LIMIT 1").fetchone()
    if row is None:
        return read_taxonomy()
    if hashlib.sha256(row[0].encode()).hexdigest() != row[1]:
        raise LabelError("the taxonomy of this label store was changed", remedy=_RESTORE)
    try:
        return Taxonomy.parse(json.loads(row[0]), where="label store", stored=True)
    except (ValueError, RecursionError, ConfigError) as error:
        raise LabelError("the taxonomy of this label store cannot be read", remedy=_RESTORE) from error


def write_taxonomy(connection: sqlite3.Connection, taxonomy: Taxonomy) -> None:
    """Write a taxonomy after the earlier ones."""
    connection.execute(_CREATE)
    content = taxonomy.model_dump_json()
    row = taxonomy.name, hashlib.sha256(content.encode()).hexdigest(), content
    connection.execute("INSERT INTO taxonomies (name, sha256, content) VALUES (?, ?, ?)", row)


def require_views_in_use(taxonomy: Taxonomy, events: Iterable[LabelEvent]) -> None:
    """Refuse a taxonomy without a view that is in use.

    Args:
        taxonomy: The taxonomy.
        events: Events of the label store; retracted labels do not count.

    Raises:
        LabelError: labels would be lost; the message counts them by view.
    """
    used = Counter(event.view for event in active_events(events) if event.view)
    lost = {view: count for view, count in sorted(used.items()) if view not in taxonomy.views}
    if lost:
        counts = ", ".join(f"{view} ({count})" for view, count in lost.items())
        what = f"taxonomy {taxonomy.name} lacks views in use; {sum(lost.values())} labels would be lost: {counts}"
        raise LabelError(what, remedy="Add these views to the taxonomy; nothing was changed")
