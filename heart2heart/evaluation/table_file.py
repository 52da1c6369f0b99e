"""Reads a table of predictions, CSV or Parquet, as columns of text with their row numbers; sizes are bounded."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.csv_files import restore_formula
from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.schema.prediction_table import (
    MAX_BYTES,
    MAX_CLASSES,
    MAX_ROWS,
    MAX_TEXT,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
)

MAX_COLUMNS = MAX_CLASSES + len(REQUIRED_COLUMNS) + len(OPTIONAL_COLUMNS)
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes:
        header: Names of the columns.
        columns: Cells of each column, stripped; one list a column, all of the same length.
        row_numbers: Number of each row, as an editor counts: the header of CSV is row 1; Parquet begins at 1.
    """

    header: tuple[str, ...]
    columns: tuple[list[str], ...]
    row_numbers: Sequence[int]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0]) if self.columns else 0


def read_text_table(path: Path) -> TextTable:
    """Read a CSV or Parquet file as text.

    Raises:
        MissingInputError: no such file.
        EvaluationError: neither CSV nor Parquet, damaged, too large, or a row of another length than the header.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        remedy = "Name a file that ends with .csv or .parquet"
        raise EvaluationError("this is no table of predictions", where=path, remedy=remedy)
    try:
        size = path.stat().st_size
    except OSError as error:
        remedy = "Write a template with: heart2heart validate --template predictions.csv"
        raise MissingInputError("no table of predictions here", where=path, remedy=remedy) from error
    _require(size, MAX_BYTES, "bytes", path)
    return _read_csv(path) if suffix == ".csv" else _read_parquet(path)


def _require(number: int, most: int, unit: str, path: Path) -> None:
    if number > most:
        remedy = "Validate fewer cases at a time, for example one hospital"
        raise EvaluationError(f"this table has more than {most:,} {unit}", where=path, remedy=remedy)


def _read_csv(path: Path) -> TextTable:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read_rows(file, path)
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError("this CSV file is not readable UTF-8", where=path, remedy="Save it as UTF-8") from error


def _read_rows(file: TextIO, path: Path) -> TextTable:
    rows = csv.reader(file, strict=True)
    numbers: list[int] = []
    try:
        header = tuple(restore_formula(name.strip()) for name in next(rows, ()))
        _require(len(header), MAX_COLUMNS, "columns", path)
        if len(header) == 1 and any(sign in header[0] for sign in ";\t"):
            remedy = "Save it with commas between the columns, and points in the numbers"
            raise EvaluationError("the columns of this CSV file are not separated by commas", where=path, remedy=remedy)
        columns: tuple[list[str], ...] = tuple([] for _ in header)
        for row_number, row in enumerate(rows, start=2):
            if not row:
                continue
            numbers.append(row_number)
            _require(len(numbers), MAX_ROWS, "rows", path)
            if len(row) != len(header):
                what = f"row {row_number} has {len(row)} cells, the header has {len(header)}"
                raise EvaluationError(what, where=path, remedy="Give every row one cell a column")
            for column, cell in zip(columns, row, strict=True):
                column.append(restore_formula(cell.strip()))
    except csv.Error as error:
        what = f"this CSV file cannot be read: {error}"
        raise EvaluationError(what, where=f"{path}, line {rows.line_num}", remedy="Save it again as CSV") from error
    return TextTable(header, columns, numbers)


def _read_parquet(path: Path) -> TextTable:
    damaged = EvaluationError("this file is damaged, or not Parquet", where=path, remedy="Write it again")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = file.metadata
            if b"heart2heart" in (file.schema_arrow.metadata or {}):
                what = "this is a predictions file of heart2heart, not a table"
                raise EvaluationError(what, where=path, remedy="Read it with: heart2heart report")
            _require(metadata.num_rows, MAX_ROWS, "rows", path)
            _require(metadata.num_columns, MAX_COLUMNS, "columns", path)
            sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
            _require(sum(sizes), MAX_BYTES, "bytes", path)
            header = tuple(name.strip() for name in file.schema_arrow.names)
            for field in file.schema_arrow:
                _require_plain(field, path)
            table = file.read()
        return TextTable(header, tuple(_texts(column) for column in table.columns), range(1, len(table) + 1))
    except EvaluationError:
        raise
    except (OSError, ValueError, pa.ArrowException, zlib.error) as error:  # ValueError: a text that is not UTF-8
        raise damaged from error


def _require_plain(field: pa.Field, path: Path) -> None:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    plain = (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_null(kind)
    )
    if not plain:
        what = f"column {field.name[:MAX_TEXT]!r} holds {kind}, neither texts nor numbers"
        raise EvaluationError(what, where=path, remedy="Write texts, whole numbers or floating-point numbers")


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return the cells as text; a float keeps all its digits, and null is empty."""
    return ["" if cell is None else str(cell).strip() for cell in column.to_pylist()]
