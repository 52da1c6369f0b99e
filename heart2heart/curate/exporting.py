"""Export the label book: every event, nothing merged away."""

from __future__ import annotations

import csv
from dataclasses import astuple
from pathlib import Path

from heart2heart.curate.book import LabelBook
from heart2heart.curate.events import COLUMNS
from heart2heart.files import atomic_path


def export_csv(book: LabelBook, out: Path) -> int:
    """Write all events as CSV, in the order in which they were recorded, and return their number.

    The columns are those of `LabelEvent`; `frame` is empty for a label of a whole clip, a number that is not known is
    empty, and what is true or false is `true` or `false`.
    """
    events = book.events()
    with atomic_path(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        writer.writerows([_text(value) for value in astuple(event)] for event in events)
    return len(events)


def _text(value: str | float | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
