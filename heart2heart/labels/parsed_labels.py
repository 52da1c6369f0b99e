"""The labels parsed from a file before they are imported, and the parser of a hospital's own table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.clip_index import CLIP_COLUMNS, NO_SUCH_FRAME, ClipIndex
from heart2heart.labels.events import LabelEvent, is_time
from heart2heart.labels.table_files import Row
from heart2heart.labels.view_words import ViewWords
from heart2heart.schema.enums import LabelAnswer


@dataclass(frozen=True)
class WordUse:
    """What a label of a file became.

    Attributes:
        label: The label, as it is written.
        view: View, or an answer such as `unusable`; empty if the label names no view; None if it is unknown.
        rows: Number of rows.
    """

    label: str
    view: str | None
    rows: int


@dataclass
class ParsedLabels:
    """The labels of a file.

    Attributes:
        unit: Unit of the row numbers: `line`, `row`, `task`, `file` or `entry`.
        rows: Number of rows.
        events: Row number and event.
        unknown_clip_rows: Numbers of the rows whose clip or frame is not in the store.
        unknown_clips: The same numbers by reason, where one is known.
        unknown_labels: First row number of each label that the vocabulary does not know.
        words: What each label of the file became; empty for files that hold codes or events.
        without_view: Number of rows that name no view.
        is_event_export: Whether the file is an export of events: one rater may have several events at one time.
    """

    unit: str
    rows: int = 0
    events: list[tuple[int, LabelEvent]] = field(default_factory=list)
    unknown_clip_rows: list[int] = field(default_factory=list)
    unknown_clips: dict[str, list[int]] = field(default_factory=dict)
    unknown_labels: dict[str, int] = field(default_factory=dict)
    words: dict[str, WordUse] = field(default_factory=dict)
    without_view: int = 0
    is_event_export: bool = False
    _once: set[LabelEvent] = field(default_factory=set)

    def add_word(self, label: str, view: str | None) -> None:
        """Count one more row with a label; `view` is what it means, and None that it is unknown."""
        earlier = self.words.get(label)
        self.words[label] = WordUse(label, view, 1 if earlier is None else earlier.rows + 1)

    def add_unknown_clip(self, number: int, reason: str) -> None:
        """Add a row whose clip or frame is not in the store."""
        self.unknown_clip_rows.append(number)
        self.unknown_clips.setdefault(reason, []).append(number)

    def add_event(self, number: int, label: str, event: LabelEvent | str | None) -> None:
        """Add what one row became, and count its label.

        Args:
            number: Number of the row.
            label: Its label.
            event: The event; the label itself where it is unknown; None where the label names no view.
        """
        if isinstance(event, str):
            self.add_word(label, None)
            self.unknown_labels.setdefault(event, number)
            return
        self.add_word(label, event.value if event else "")
        if event is None:
            self.without_view += 1
        else:
            self.events.append((number, event))

    def add_once(self, number: int, event: LabelEvent) -> None:
        """Add an event unless it was added before: archives hold copies of files."""
        if event not in self._once:
            self._once.add(event)
            self.events.append((number, event))


NON_VIEW_ANSWERS = (LabelAnswer.UNUSABLE, LabelAnswer.UNSURE)
"""Answers that every vocabulary knows, beside its names of views."""


def parse_answer(label: str) -> LabelAnswer:
    """Return the answer that a label means; `view` for every label that is not `unusable` or `unsure`."""
    word = label.casefold()
    return LabelAnswer(word) if word in NON_VIEW_ANSWERS else LabelAnswer.VIEW


def read_hospital_table(
    path: Path, rows: list[Row], columns: list[str], first: int, clips: ClipIndex, words: ViewWords, *, form: str
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
    reason = clips.reason(clip_column, path)
    parsed = ParsedLabels("line" if form == "csv" else "row", rows=len(rows))
    for row_number, row in enumerate(rows, start=first):
        label = row["view"].strip()
        answer = parse_answer(label)
        try:
            view = "" if answer != LabelAnswer.VIEW else words.translate(label)
        except UnknownNameError:
            parsed.unknown_labels.setdefault(label, row_number)
            parsed.add_word(label, None)
            continue
        parsed.add_word(label, answer.value if answer != LabelAnswer.VIEW else view or "")
        clip, frame_text = find(row), row.get("frame", "").strip()
        frame = "" if clip is None or not frame_text else clips.frame(clip, frame_text)
        if clip is None:
            parsed.add_unknown_clip(row_number, reason(row))
        elif frame is None:
            parsed.add_unknown_clip(row_number, NO_SUCH_FRAME)
        elif view is None:
            parsed.without_view += 1
        else:
            rater, at = row.get("rater", "").strip() or "unnamed", row.get("labeled_at", "").strip()
            if at and not is_time(at):
                remedy = "Write dates as 2026-01-31, or times as 2026-01-31T12:00:00Z"
                raise LabelError(f"{parsed.unit} {row_number}: labeled_at is no date", where=path, remedy=remedy)
            parsed.events.append(
                (row_number, LabelEvent(clip, frame, view, rater, at, f"{form}:{words.name}", answer=answer))
            )
    return parsed
