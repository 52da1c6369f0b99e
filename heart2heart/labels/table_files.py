"""Reads and writes tables of labels as CSV or Parquet, among them the table of all label events."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.csv_files import CsvWriter, restore_formula
from heart2heart.errors import ConfigError, Heart2HeartError, LabelError, MissingInputError, UnknownNameError
from heart2heart.labels.events import EVENT_COLUMNS, LabelEvent
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.views import TAXONOMY_VERSION, VIEWS
from heart2heart.utils import atomic_path

Row = dict[str, str]

EXPORT_FORMATS = ("csv", "parquet", "label_studio", "cvat", "sr")
"""Formats in which labels, and quality, marks and notes, are exported and imported."""
_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".json": "label_studio", ".xml": "cvat"}

_MAGIC_BYTES = (
    (b"PAR1", "Parquet"),
    (b"SQLite format 3\0", "a label store"),
    (b"[", "JSON"),
    (b"{", "JSON"),
    (b"PK\3\4", "zip"),
)
_PREAMBLE = 128


def detect_format(path: Path) -> str:
    """Return the format of a file by its first bytes: `Parquet`, `JSON`, `DICOM`, `a label store`, `zip` or `text`.

    Raises:
        MissingInputError: no such file.
    """
    try:
        with path.open("rb") as handle:
            first_bytes = handle.read(_PREAMBLE + 4)
    except FileNotFoundError as error:
        raise MissingInputError("no label file here", where=path) from error
    except OSError as error:
        raise MissingInputError("this label file cannot be read", where=path) from error
    if first_bytes[_PREAMBLE:] == b"DICM":
        return "DICOM"
    return next(
        (name for magic, name in _MAGIC_BYTES if first_bytes.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(magic)), "text"
    )


def is_xml(path: Path) -> bool:
    """Return whether a file begins as XML does."""
    with path.open("rb") as handle:
        return handle.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def export_format(out: Path, form: str | None) -> str:
    """Return the format of an export of labels.

    Args:
        out: The file to write.
        form: One of `EXPORT_FORMATS`; None takes that of the suffix.

    Raises:
        ConfigError: the format is not clear from the name.
        UnknownNameError: there is no such format.
    """
    chosen = form or _SUFFIXES.get(out.suffix)
    if chosen is None:
        raise ConfigError("the format is not clear from the file name", where=out, remedy="Give --format")
    if chosen not in EXPORT_FORMATS:
        raise UnknownNameError.among("format of labels", chosen, list(EXPORT_FORMATS))
    return chosen


def read_rows(path: Path) -> tuple[list[Row], list[str], int]:
    """Return the rows of a UTF-8 CSV with a header or of a Parquet file, its columns, and the number of the first row.

    The cells of a CSV are divided by commas, semicolons or tabs, whichever its header has most.

    Raises:
        MissingInputError: no such file.
        LabelError: the file has another format, or is damaged.
    """
    form = detect_format(path)
    if form == "Parquet":
        try:
            table = pq.read_table(path)
            columns = table.column_names
            rows = [{name: _text(row[name]) for name in columns} for row in table.to_pylist()]
        except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: a name or a text that is not UTF-8
            raise LabelError("this Parquet file is cut short or damaged", where=path) from error
        return rows, columns, 1
    if form != "text":
        remedy = "Name --format, or a CSV or Parquet file"
        raise LabelError(f"this is neither CSV nor Parquet, but {form}", where=path, remedy=remedy)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            header = handle.readline()
            handle.seek(0)
            reader = csv.DictReader(handle, delimiter=max(",;\t", key=header.count))
            rows = [
                {name: restore_formula(value or "") for name, value in row.items() if name is not None}
                for row in reader
            ]
            return rows, list(reader.fieldnames or ()), 2  # line 1 is the header
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError("this label file is not readable CSV in UTF-8", where=path) from error


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, parquet: bool) -> None:
    """Write rows as CSV, or as Parquet with the types of the values; the file appears whole or not at all.

    In CSV, texts that a spreadsheet program would take for a formula begin with an apostrophe; `read_rows` removes it.
    """
    with atomic_path(path) as temporary:
        if parquet:
            row_dicts = [dict(zip(columns, row, strict=True)) for row in rows]
            fields = [pa.array([row[name] for row in row_dicts]) for name in columns]
            pq.write_table(pa.table(dict(zip(columns, fields, strict=True))), temporary, compression="zstd")
            return
        with temporary.open("w", newline="", encoding="utf-8") as handle:
            writer = CsvWriter(handle, "\r\n")
            writer.writerow(columns)
            writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> str:
    return value if isinstance(value, str) else _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


_EVENT_TABLE_COLUMNS = frozenset(("clip", "kind", "answer", "taxonomy", "retracts"))
_ROWS_SHOWN = 8


def is_event_table(columns: Sequence[str]) -> bool:
    """Return whether a table with these columns is an export of events."""
    return set(columns) >= _EVENT_TABLE_COLUMNS


def write_events(events: Sequence[LabelEvent], out: Path, *, parquet: bool) -> None:
    """Write all events, one row an event; in CSV an unknown number is empty."""
    write_rows(out, EVENT_COLUMNS, (astuple(event) for event in events), parquet=parquet)


def read_events(path: Path) -> list[LabelEvent]:
    """Return the events of an export, in its order.

    Raises:
        MissingInputError: no such file.
        LabelError: the file is not an export of events, or rows are no valid events; the message names the rows.
    """
    rows, columns, first = read_rows(path)
    return parse_events(path, rows, columns, first, None)


def parse_events(
    path: Path,
    rows: Sequence[Row],
    columns: Sequence[str],
    first: int,
    views: Collection[str] | None = VIEWS.keys(),
) -> list[LabelEvent]:
    """Return the events of rows that `read_rows` returned; see `read_events`.

    Args:
        path: The file, for errors.
        rows: The rows.
        columns: Names of the columns.
        first: Number of the first row.
        views: The known views; None takes every view.
    """
    if not set(columns) >= set(EVENT_COLUMNS):
        missing = ", ".join(sorted(set(EVENT_COLUMNS) - set(columns)))
        raise LabelError("this is not an export of label events", where=path, remedy=f"Missing columns: {missing}")
    events, bad_rows = [], []
    for row_number, row in enumerate(rows, start=first):
        try:
            event = _event(row)
            if event.taxonomy == TAXONOMY_VERSION:
                event.check(views)
        except (ValueError, Heart2HeartError):
            bad_rows.append(row_number)
        else:
            events.append(event)
    if bad_rows:
        listed = ", ".join(map(str, bad_rows[:_ROWS_SHOWN])) + (" ..." if len(bad_rows) > _ROWS_SHOWN else "")
        raise LabelError(
            f"{len(bad_rows)} rows are not label events (rows {listed})", where=path, remedy="Export it again"
        )
    return events


def _event(row: Row) -> LabelEvent:
    if row["suggestion_shown"] not in ("true", "false"):
        raise ValueError("neither true nor false")
    optional_numbers = {name: float(row[name]) if row[name] else None for name in ("confidence", "seconds")}
    if any(value is not None and not math.isfinite(value) for value in optional_numbers.values()):
        raise ValueError("not finite")
    parsed_columns = {*optional_numbers, "kind", "answer", "suggestion_shown"}
    texts = {name: row[name] for name in EVENT_COLUMNS if name not in parsed_columns}
    return LabelEvent(
        **texts,
        kind=EventKind(row["kind"]),
        answer=LabelAnswer(row["answer"]),
        confidence=optional_numbers["confidence"],
        seconds=optional_numbers["seconds"],
        suggestion_shown=row["suggestion_shown"] == "true",
    )
