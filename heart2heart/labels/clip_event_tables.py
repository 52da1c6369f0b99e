"""Reads tables of image quality, marked frames and notes, of `export_clip_events` or of a hospital."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from heart2heart.errors import Heart2HeartError, LabelError
from heart2heart.labels.clip_events import PHASES, ClipEvent, marks_text
from heart2heart.labels.clip_index import CLIP_COLUMNS, ClipIndex
from heart2heart.labels.events import is_time
from heart2heart.labels.table_files import Row, read_rows
from heart2heart.schema.enums import ClipEventKind

_VALUE_COLUMNS = {ClipEventKind.QUALITY: "quality", ClipEventKind.MARKS: "phase", ClipEventKind.NOTE: "note"}
_ROWS_SHOWN = 8
_DIGITS = 9  # of the number of a frame


def read_clip_events(
    path: Path, clips: ClipIndex, *, raters: Collection[str] | None = None, skip_unknown: bool = False
) -> list[ClipEvent]:
    """Return the events of a CSV or Parquet table, and write nothing.

    The table has one of the columns `quality`, `phase` (`ed` or `es`, with `frame`, the number of the frame in the
    recording from 0) and `note`; one of `clip`, `sop_instance_uid` and `file`; and may have `rater` and `at`. The rows
    of one clip, rater and time are together one set of marked frames.

    Args:
        path: The table.
        clips: The clips of the stores.
        raters: Names of the raters who may occur; None accepts any name.
        skip_unknown: Leave out rows of clips that are not in the store, instead of refusing the table.

    Raises:
        MissingInputError: no such file.
        LabelError: a column is missing or ambiguous; a clip or rater is unknown; a value or time is not valid; two rows
            contradict each other. The message names the rows.
    """
    rows, columns, first = read_rows(path)
    kinds = [kind for kind, column in _VALUE_COLUMNS.items() if column in columns]
    clip_column = next((name for name in CLIP_COLUMNS if name in columns), None)
    if len(kinds) != 1 or clip_column is None or (kinds[0] == ClipEventKind.MARKS and "frame" not in columns):
        remedy = "Needed: one of quality, note, or phase with frame; and one of clip, sop_instance_uid, file"
        raise LabelError("this table lacks a column, or has two kinds of values", where=path, remedy=remedy)
    find, kind = clips.finder(clip_column, path), kinds[0]
    values: dict[tuple[str, str, str], list[Row]] = {}
    faults: dict[str, list[int]] = {}
    for row_number, row in enumerate(rows, start=first):
        clip = find(row)
        rater, at = row.get("rater", "").strip() or "unnamed", row.get("at", "").strip()
        if clip is None:
            faults.setdefault("name clips that are not in the store", []).append(row_number)
            continue
        if raters is not None and rater not in raters:
            faults.setdefault("name unknown raters", []).append(row_number)
        if at and not is_time(at):
            faults.setdefault("have no date in the column at", []).append(row_number)
        group = values.setdefault((clip, rater, at), [])
        group.append(row)
        try:
            event = _event(kind, (clip, rater, at), group)
            event.check()
            if not event.value:
                raise LabelError("this row has no value")
        except Heart2HeartError:
            faults.setdefault("are not valid, or contradict an earlier row of the clip", []).append(row_number)
            group.pop()
    if skip_unknown:
        faults.pop("name clips that are not in the store", None)
    if faults:
        listed = "; ".join(f"{len(numbers)} rows {what} ({_row_list(numbers)})" for what, numbers in faults.items())
        raise LabelError(listed, where=path, remedy="Correct the table; nothing was imported")
    return [_event(kind, key, group) for key, group in values.items()]


def _event(kind: ClipEventKind, key: tuple[str, str, str], group: Sequence[Row]) -> ClipEvent:
    """Return the one event of the rows of a clip, rater and time.

    Raises:
        LabelError: the rows contradict each other, or a frame has another form.
    """
    clip, rater, at = key
    if kind != ClipEventKind.MARKS:
        written = {row[_VALUE_COLUMNS[kind]].strip() for row in group}
        if len(written) > 1:
            raise LabelError("two rows of one clip, rater and time differ", where=clip)
        return ClipEvent(clip, kind, rater, at, written.pop())
    marks: dict[str, list[int]] = {phase: [] for phase in PHASES}
    for row in group:
        phase, frame = row["phase"].strip().lower(), row["frame"].strip()
        if phase not in marks or not (frame.isascii() and frame.isdecimal() and len(frame) <= _DIGITS):
            raise LabelError("a mark is a phase, ed or es, and the number of a frame", where=clip)
        marks[phase].append(int(frame))
    return ClipEvent(clip, kind, rater, at, marks_text(marks))


def _row_list(numbers: Sequence[int]) -> str:
    return "rows " + ", ".join(map(str, numbers[:_ROWS_SHOWN])) + (" ..." if len(numbers) > _ROWS_SHOWN else "")
