"""Reads image quality, marked frames and notes from tables and from the files of other tools."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from heart2heart.errors import Heart2HeartError, LabelError, UnknownNameError
from heart2heart.labels.clip_events import PHASES, ClipEvent, WrittenEvent, marks_text
from heart2heart.labels.clip_index import CLIP_COLUMNS, ClipIndex
from heart2heart.labels.events import is_time
from heart2heart.labels.table_files import EXPORT_FORMATS, detect_format, is_xml, read_rows
from heart2heart.schema.enums import ClipEventKind

_VALUE_COLUMNS = {ClipEventKind.QUALITY: "quality", ClipEventKind.MARKS: "phase", ClipEventKind.NOTE: "note"}
_ROWS_SHOWN = 8
_DIGITS = 9  # of the number of a frame


def read_clip_events(
    path: Path,
    clips: ClipIndex,
    *,
    form: str | None = None,
    raters: Collection[str] | None = None,
    skip_unknown: bool = False,
) -> list[ClipEvent]:
    """Return the events of a table, or of another tool's file, and write nothing.

    A table has one of the columns `quality`, `phase` (`ed` or `es`, with `frame`, the number of the frame in the
    recording from 0) and `note`; one of `clip`, `sop_instance_uid` and `file`; and may have `rater` and `at`. The rows
    of one clip, rater and time are together one set of marked frames.

    Args:
        path: The file; for `sr` a file or a folder.
        clips: The clips of the stores.
        form: One of `EXPORT_FORMATS`; None detects it.
        raters: Names of the raters who may occur; None accepts any name.
        skip_unknown: Leave out rows of clips that are not in the store, instead of refusing the file.

    Raises:
        MissingInputError: no such file.
        UnknownNameError: no such format.
        LabelError: a column is missing or ambiguous; a clip or rater is unknown; a value or time is not valid; two rows
            contradict each other. The message names the rows.
    """
    if form is not None and form not in EXPORT_FORMATS:
        raise UnknownNameError.among("format of labels", form, list(EXPORT_FORMATS))
    return checked_events(path, _written(path, clips, form or _detect(path)), raters=raters, skip_unknown=skip_unknown)


def _detect(path: Path) -> str:
    if path.is_dir():
        return "sr"
    form = {"Parquet": "parquet", "JSON": "label_studio", "DICOM": "sr", "text": "csv"}.get(detect_format(path), "csv")
    return "cvat" if form == "csv" and is_xml(path) else form


def _written(path: Path, clips: ClipIndex, form: str) -> Iterator[WrittenEvent]:
    if form == "label_studio":
        from heart2heart.labels.label_studio_events import read_annotations

        return read_annotations(path, clips)
    if form == "cvat":
        from heart2heart.labels.cvat_events import read_tags

        return read_tags(path, clips)
    if form == "sr":
        from heart2heart.labels.dicom_clip_events import read_reports

        return read_reports(path, clips)
    return _read_table(path, clips)


def _read_table(path: Path, clips: ClipIndex) -> Iterator[WrittenEvent]:
    rows, columns, first = read_rows(path)
    kinds = [kind for kind, column in _VALUE_COLUMNS.items() if column in columns]
    clip_column = next((name for name in CLIP_COLUMNS if name in columns), None)
    if len(kinds) != 1 or clip_column is None or (kinds[0] == ClipEventKind.MARKS and "frame" not in columns):
        remedy = "Needed: one of quality, note, or phase with frame; and one of clip, sop_instance_uid, file"
        raise LabelError("this table lacks a column, or has two kinds of values", where=path, remedy=remedy)
    find, kind = clips.finder(clip_column, path), kinds[0]
    for row_number, row in enumerate(rows, start=first):
        rater, at = row.get("rater", "").strip() or "unnamed", row.get("at", "").strip()
        value, phase = row[_VALUE_COLUMNS[kind]], ""
        if kind == ClipEventKind.MARKS:
            value, phase = row["frame"], value
        yield WrittenEvent(row_number, kind, find(row) or "", rater, at, value.strip(), phase.strip())


def checked_events(
    path: Path, written: Iterator[WrittenEvent], *, raters: Collection[str] | None, skip_unknown: bool
) -> list[ClipEvent]:
    """Return the events of the rows of a file.

    Args:
        path: The file, for messages.
        written: The rows.
        raters: See `read_clip_events`.
        skip_unknown: See `read_clip_events`.

    Raises:
        LabelError: a row is not valid; the message names the rows.
    """
    groups: dict[tuple[ClipEventKind, str, str, str], list[WrittenEvent]] = {}
    faults: dict[str, list[int]] = {}
    for row in written:
        if not row.clip:
            faults.setdefault("name clips that are not in the store", []).append(row.number)
            continue
        if raters is not None and row.rater not in raters:
            faults.setdefault("name unknown raters", []).append(row.number)
        if row.at and not is_time(row.at):
            faults.setdefault("have no date in the column at", []).append(row.number)
        group = groups.setdefault((row.kind, row.clip, row.rater, row.at), [])
        group.append(row)
        try:
            event = _event(group)
            event.check()
            if not event.value:
                raise LabelError("this row has no value")
        except Heart2HeartError:
            faults.setdefault("are not valid, or contradict an earlier row of the clip", []).append(row.number)
            group.pop()
    if skip_unknown:
        faults.pop("name clips that are not in the store", None)
    if faults:
        listed = "; ".join(f"{len(numbers)} rows {what} ({_row_list(numbers)})" for what, numbers in faults.items())
        raise LabelError(listed, where=path, remedy="Correct the table; nothing was imported")
    return [_event(group) for group in groups.values()]


def _event(group: Sequence[WrittenEvent]) -> ClipEvent:
    """Return the one event of the rows of a kind, clip, rater and time.

    Raises:
        LabelError: the rows contradict each other, or a frame has another form.
    """
    row = group[0]
    if row.kind != ClipEventKind.MARKS:
        values = {one.value for one in group}
        if len(values) > 1:
            raise LabelError("two rows of one clip, rater and time differ", where=row.clip)
        return ClipEvent(row.clip, row.kind, row.rater, row.at, values.pop())
    marks: dict[str, list[int]] = {phase: [] for phase in PHASES}
    for one in group:
        phase, frame = one.phase.lower(), one.value
        if phase not in marks or not (frame.isascii() and frame.isdecimal() and len(frame) <= _DIGITS):
            raise LabelError("a mark is a phase, ed or es, and the number of a frame", where=row.clip)
        marks[phase].append(int(frame))
    return ClipEvent(row.clip, row.kind, row.rater, row.at, marks_text(marks))


def _row_list(numbers: Sequence[int]) -> str:
    return "rows " + ", ".join(map(str, numbers[:_ROWS_SHOWN])) + (" ..." if len(numbers) > _ROWS_SHOWN else "")
