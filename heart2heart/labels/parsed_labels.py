"""The labels parsed from a file before they are imported, and the parser of a hospital's own table.

A row names its clip by `clip` (the store's pseudonym), by `sop_instance_uid`, or by `file` (relative to the table). The
last two can identify a patient: they become pseudonyms with the hospital's key and are never kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.events import LabelEvent, is_time
from heart2heart.labels.table_files import Row
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.store import frame_id
from heart2heart.schema.views import translate_label
from heart2heart.store.frame_store import Frames

CLIP_COLUMNS = ("clip", "sop_instance_uid", "file")
"""Columns that may name the clip of a row; all but the first can identify a patient."""


@dataclass
class ParsedLabels:
    """The labels of a file.

    Attributes:
        unit: Unit of the row numbers: `line`, `row`, `task`, `file` or `entry`.
        rows: Number of rows.
        events: Row number and event.
        unknown_clip_rows: Numbers of the rows whose clip or frame is not in the store.
        unknown_labels: First row number of each label that the vocabulary does not know.
        without_view: Number of rows that name no view.
        is_event_export: Whether the file is an export of events: one rater may have several events at one time.
    """

    unit: str
    rows: int = 0
    events: list[tuple[int, LabelEvent]] = field(default_factory=list)
    unknown_clip_rows: list[int] = field(default_factory=list)
    unknown_labels: dict[str, int] = field(default_factory=dict)
    without_view: int = 0
    is_event_export: bool = False
    _once: set[LabelEvent] = field(default_factory=set)

    def add_once(self, number: int, event: LabelEvent) -> None:
        """Add an event unless it was added before: archives hold copies of files."""
        if event not in self._once:
            self._once.add(event)
            self.events.append((number, event))


class ClipIndex:
    """The clips of some stores, by pseudonym and by identity.

    Args:
        stores: The stores with the clips.
        key: Key file with which the clips were ingested; needed to look up clips by UID or file.
    """

    def __init__(self, stores: Frames, key: Path | None) -> None:
        self.table = stores.clips
        self._stores = stores
        self._pseudonyms = None if key is None else Pseudonymizer(Key.load(key))
        self._clips = set(self.table["clip"].to_pylist())
        self._by: dict[str, dict[str, str]] = {}
        self._frames: set[str] | None = None

    def need_key(self, what: str, where: Path) -> Pseudonymizer:
        """Return the pseudonymizer of the key.

        Raises:
            LabelError: no key was given.
        """
        if self._pseudonyms is None:
            remedy = "Give --key with the key of the ingest"
            raise LabelError(f"{what} need the hospital's key", where=where, remedy=remedy)
        return self._pseudonyms

    def finder(self, column: str, where: Path) -> Callable[[Mapping[str, str]], str | None]:
        """Return a function that returns the clip of a row, or None if no store holds it.

        Args:
            column: One of `CLIP_COLUMNS`.
            where: The label file; `file` is relative to its folder.
        """
        if column == "clip":
            return lambda row: row["clip"].strip() if row["clip"].strip() in self._clips else None
        pseudonyms = self.need_key(f"labels by {column}", where)
        if column == "sop_instance_uid":
            return lambda row: self.by_instance(pseudonyms, row["sop_instance_uid"])

        def by_file(row: Mapping[str, str]) -> str | None:
            file = where.parent / row["file"]
            return self._unique_lookup("content").get(pseudonyms.content(file)) if file.is_file() else None

        return by_file

    def by_instance(self, pseudonyms: Pseudonymizer, uid: str) -> str | None:
        """Return the clip of a SOP Instance UID, or None if no store holds it."""
        return self._unique_lookup("instance").get(pseudonyms.uid(uid.strip()))

    def _unique_lookup(self, column: str) -> dict[str, str]:
        if column not in self._by:
            valid = self.table.filter(pc.is_valid(self.table[column]))
            names = valid[column].to_pylist()
            unique = {
                name for name, count in Counter(names).items() if count == 1
            }  # one UID of two clips names neither
            pairs = zip(names, valid["clip"].to_pylist(), strict=True)
            self._by[column] = {name: clip for name, clip in pairs if name in unique}
        return self._by[column]

    def frame(self, clip: str, text: str) -> str | None:
        """Return the identifier of a frame, given by index or identifier, or None if the clip lacks it."""
        if self._frames is None:
            self._frames = set(self._stores.frames["frame"].to_pylist())
        frame_name = frame_id(clip, int(text)) if text.isascii() and text.isdigit() else text
        return frame_name if frame_name in self._frames and frame_name.startswith(f"{clip}:") else None


NON_VIEW_ANSWERS = (LabelAnswer.UNUSABLE, LabelAnswer.UNSURE)
"""Answers that every vocabulary knows, beside its names of views."""


def parse_answer(label: str) -> LabelAnswer:
    """Return the answer that a label means; `view` for every label that is not `unusable` or `unsure`."""
    word = label.casefold()
    return LabelAnswer(word) if word in NON_VIEW_ANSWERS else LabelAnswer.VIEW


def read_hospital_table(
    path: Path, rows: list[Row], columns: list[str], first: int, clips: ClipIndex, vocabulary: str, *, form: str
) -> ParsedLabels:
    """Return the labels of a table with the columns `view` and one of `clip`, `sop_instance_uid`, `file`.

    Optional columns: `frame` (index or identifier), `rater`, `labeled_at`.

    Raises:
        LabelError: a column is missing, or the key that it needs.
    """
    clip_column = next((name for name in CLIP_COLUMNS if name in columns), None)
    if clip_column is None or "view" not in columns:
        remedy = "Needed: view, and one of clip, sop_instance_uid, file"
        raise LabelError("this label file lacks a column", where=path, remedy=remedy)
    find = clips.finder(clip_column, path)
    parsed = ParsedLabels("line" if form == "csv" else "row", rows=len(rows))
    for row_number, row in enumerate(rows, start=first):
        label = row["view"].strip()
        answer = parse_answer(label)
        try:
            view = "" if answer != LabelAnswer.VIEW else translate_label(label, vocabulary)
        except UnknownNameError:
            parsed.unknown_labels.setdefault(label, row_number)
            continue
        clip, frame_text = find(row), row.get("frame", "").strip()
        frame = "" if clip is None or not frame_text else clips.frame(clip, frame_text)
        if clip is None or frame is None:
            parsed.unknown_clip_rows.append(row_number)
        elif view is None:
            parsed.without_view += 1
        else:
            rater, at = row.get("rater", "").strip() or "unnamed", row.get("labeled_at", "").strip()
            if at and not is_time(at):
                remedy = "Write dates as 2026-01-31, or times as 2026-01-31T12:00:00Z"
                raise LabelError(f"{parsed.unit} {row_number}: labeled_at is no date", where=path, remedy=remedy)
            parsed.events.append(
                (row_number, LabelEvent(clip, frame, view, rater, at, f"{form}:{vocabulary}", answer=answer))
            )
    return parsed
