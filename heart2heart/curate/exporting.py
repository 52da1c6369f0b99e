"""Export the label book: every event, nothing merged away."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path

from heart2heart.curate.events import LabelBook, LabelEvent
from heart2heart.files import atomic_path


def export_csv(book: LabelBook, out: Path) -> int:
    """Write all events as CSV, in the order in which they were recorded, and return their number.

    The columns are those of `LabelEvent`; `frame` is empty for a label of a whole clip.
    """
    events = book.events()
    with atomic_path(out) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(field.name for field in fields(LabelEvent))
        writer.writerows(astuple(event) for event in events)
    return len(events)
