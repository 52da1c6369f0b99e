"""A hospital's own table of labels: its words for the views, its names for the clips.

A row names its clip by `clip` (the store's pseudonym), by `sop_instance_uid`, or by `file` (relative to the table). The
last two are identity: they are turned into pseudonyms with the hospital's key and never kept.
"""

from __future__ import annotations

from pathlib import Path

from heart2heart.curate.events import LabelEvent
from heart2heart.curate.exchange.found import WAYS, Clips, Found
from heart2heart.curate.exchange.tables import Row
from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.views import translate

WITHOUT_VIEW = ("unusable", "unsure")
"""Words that every vocabulary knows, beside its own for the views."""


def read_table(
    path: Path, rows: list[Row], columns: list[str], first: int, clips: Clips, vocabulary: str, *, form: str
) -> Found:
    """Return the labels of a table with the columns `view` and one of `clip`, `sop_instance_uid`, `file`.

    Columns that may be there: `frame` (index or identifier), `rater`, `labeled_at`.

    Raises:
        LabelError: a column is missing, or the key that it needs.
    """
    way = next((name for name in WAYS if name in columns), None)
    if way is None or "view" not in columns:
        remedy = "Needed: view, and one of clip, sop_instance_uid, file"
        raise LabelError("this label file lacks a column", where=path, remedy=remedy)
    find = clips.finder(way, path)
    found = Found("line" if form == "csv" else "row", rows=len(rows))
    for number, row in enumerate(rows, start=first):
        word = row["view"].strip()
        answer = word.casefold() if word.casefold() in WITHOUT_VIEW else "view"
        try:
            view = "" if answer != "view" else translate(word, vocabulary)
        except UnknownNameError:
            found.words.setdefault(word, number)
            continue
        clip, named = find(row), row.get("frame", "").strip()
        frame = "" if clip is None or not named else clips.frame(clip, named)
        if clip is None or frame is None:
            found.unknown.append(number)
        elif view is None:
            found.silent += 1
        else:
            who, at = row.get("rater", "").strip() or "unnamed", row.get("labeled_at", "").strip()
            found.said.append((number, LabelEvent(clip, frame, view, who, at, f"{form}:{vocabulary}", answer=answer)))
    return found
