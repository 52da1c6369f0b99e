"""Label events as a table: every field of every event, nothing merged away; read back as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from heart2heart.curate.events import COLUMNS, LabelEvent
from heart2heart.curate.exchange.tables import Row, read_rows, write_rows
from heart2heart.errors import Heart2HeartError, LabelError
from heart2heart.views import TAXONOMY_VERSION

_MARK = frozenset(("clip", "kind", "answer", "taxonomy", "retracts"))
_SHOWN = 8


def is_events(columns: Sequence[str]) -> bool:
    """Return whether a table with these columns is an export of events."""
    return set(columns) >= _MARK


def write_events(events: Sequence[LabelEvent], out: Path, *, parquet: bool) -> None:
    """Write all events, a row an event; in CSV a number that is not known is empty."""
    write_rows(out, COLUMNS, (astuple(event) for event in events), parquet=parquet)


def read_events(path: Path) -> list[LabelEvent]:
    """Return the events of an export, in its order.

    Raises:
        MissingInputError: no such file.
        LabelError: it is no export of events, or rows of it cannot be events; their numbers are named.
    """
    rows, columns, first = read_rows(path)
    return parse_events(path, rows, columns, first)


def parse_events(path: Path, rows: Sequence[Row], columns: Sequence[str], first: int) -> list[LabelEvent]:
    """As `read_events`, of rows that were read."""
    if not set(columns) >= set(COLUMNS):
        lacking = ", ".join(sorted(set(COLUMNS) - set(columns)))
        raise LabelError("this is no export of label events", where=path, remedy=f"Columns that it lacks: {lacking}")
    events, bad = [], []
    for number, row in enumerate(rows, start=first):
        try:
            event = _event(row)
            if event.taxonomy == TAXONOMY_VERSION:
                event.check()
        except (ValueError, Heart2HeartError):
            bad.append(number)
        else:
            events.append(event)
    if bad:
        listed = ", ".join(map(str, bad[:_SHOWN])) + (" ..." if len(bad) > _SHOWN else "")
        raise LabelError(f"{len(bad)} rows are no label events (rows {listed})", where=path, remedy="Export it again")
    return events


def _event(row: Row) -> LabelEvent:
    if row["suggestion_shown"] not in ("true", "false"):
        raise ValueError("neither true nor false")
    numbers = {name: float(row[name]) if row[name] else None for name in ("confidence", "seconds")}
    if any(value is not None and not math.isfinite(value) for value in numbers.values()):
        raise ValueError("not finite")
    texts = {name: row[name] for name in COLUMNS if name not in (*numbers, "suggestion_shown")}
    return LabelEvent(
        **texts, confidence=numbers["confidence"], seconds=numbers["seconds"],
        suggestion_shown=row["suggestion_shown"] == "true",
    )  # fmt: skip
