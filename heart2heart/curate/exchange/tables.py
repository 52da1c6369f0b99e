"""Rows of a CSV or Parquet file as texts, and files that are something else told apart by their first bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.errors import LabelError, MissingInputError
from heart2heart.files import atomic_path

Row = dict[str, str]

_STARTS = (
    (b"PAR1", "Parquet"),
    (b"SQLite format 3\0", "a label book"),
    (b"[", "JSON"),
    (b"{", "JSON"),
    (b"PK\3\4", "zip"),
)
_PREAMBLE = 128


def form_of(path: Path) -> str:
    """Return what the first bytes of a file say it is: `Parquet`, `JSON`, `DICOM`, `a label book`, `zip` or `text`.

    Raises:
        MissingInputError: no such file.
    """
    try:
        with path.open("rb") as handle:
            start = handle.read(_PREAMBLE + 4)
    except FileNotFoundError as error:
        raise MissingInputError("no label file here", where=path) from error
    except OSError as error:
        raise MissingInputError("this label file cannot be read", where=path) from error
    if start[_PREAMBLE:] == b"DICM":
        return "DICOM"
    return next((name for magic, name in _STARTS if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(magic)), "text")


def read_rows(path: Path) -> tuple[list[Row], list[str], int]:
    """Return the rows of a UTF-8 CSV with a header or of a Parquet file, its columns, and the number of the first row.

    Raises:
        MissingInputError: no such file.
        LabelError: it is something else, or damaged.
    """
    form = form_of(path)
    if form == "Parquet":
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise LabelError("this Parquet file is cut short or damaged", where=path) from error
        columns = table.column_names
        rows = [{name: _text(row[name]) for name in columns} for row in table.to_pylist()]
        return rows, columns, 1
    if form != "text":
        remedy = "Name --format, or a CSV or Parquet file"
        raise LabelError(f"this is not CSV or Parquet, but {form}", where=path, remedy=remedy)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            rows = [{name: value or "" for name, value in row.items() if name is not None} for row in reader]
            return rows, list(reader.fieldnames or ()), 2  # line 1 is the header
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError("this label file is not readable CSV in UTF-8", where=path) from error


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]], *, parquet: bool) -> None:
    """Write rows as CSV, or as Parquet with the types that the values have; the file appears whole."""
    with atomic_path(path) as temporary:
        if parquet:
            listed = [dict(zip(columns, row, strict=True)) for row in rows]
            fields = [pa.array([row[name] for row in listed]) for name in columns]
            pq.write_table(pa.table(dict(zip(columns, fields, strict=True))), temporary, compression="zstd")
            return
        with temporary.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(columns)
            writer.writerows([_text(value) for value in row] for row in rows)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
