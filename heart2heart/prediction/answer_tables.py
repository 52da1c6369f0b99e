"""Writes a file of answers as a table, CSV or Parquet, one row a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.csv_files import CsvWriter
from heart2heart.errors import ConfigError
from heart2heart.prediction.answer_file import read_answers
from heart2heart.schema.answer_file import AnswerFileHeader
from heart2heart.schema.clip_answer import ClipAnswer, QualityParts
from heart2heart.utils import atomic_path

_PARTS = tuple(QualityParts.model_fields)
_ROWS = 10_000  # of one group of a Parquet file
_SEPARATOR = " | "

Row = dict[str, Any]


def write_answer_table(answers: Path, table: Path) -> int:
    """Write a file of answers as `.csv` or `.parquet`, whole or not at all; return the number of rows.

    Columns: file, sha256, hash_of, status, views, reason, code, sentence, `p_VIEW` for each class, the score of the
    scope with its threshold, coverage, mode, flags, frames, quality with its parts, and the model's identity. Text in a
    CSV file is no formula for a spreadsheet program.

    Args:
        answers: The file of answers.
        table: The table.

    Raises:
        ConfigError: the table has another ending.
        MissingInputError: no file of answers.
        StoreError: the file of answers is damaged.
        NoSpaceError: the disk is full; nothing is written.
    """
    write = table_writer(table)
    header, rows = read_answers(answers)
    with atomic_path(table) as temporary:
        return write(header, (_row(answer, header) for answer in rows), temporary)


def table_writer(table: Path) -> Callable[[AnswerFileHeader, Iterator[Row], Path], int]:
    """Return the writer of a table by its ending.

    Raises:
        ConfigError: neither `.csv` nor `.parquet`.
    """
    try:
        return _WRITERS[table.suffix]
    except KeyError:
        remedy = f"Known: {', '.join(_WRITERS)}"
        raise ConfigError("a table of answers has another ending", where=table, remedy=remedy) from None


def _row(answer: ClipAnswer, header: AnswerFileHeader) -> Row:
    scope, model, parts = answer.scope, answer.model, answer.parts
    return {
        "file": answer.file,
        "sha256": answer.sha256,
        "hash_of": answer.hash_of.value,
        "status": answer.status.value,
        "views": list(answer.views),
        "reason": answer.reason and answer.reason.value,
        "code": answer.code and answer.code.value,
        "sentence": answer.sentence,
        **{f"p_{name}": answer.probabilities.get(name) for name in header.classes},
        "scope_score": scope and scope.score,
        "scope_value": scope and scope.value,
        "scope_threshold": scope and scope.threshold,
        "coverage": answer.coverage,
        "mode": answer.mode and answer.mode.value,
        "flags": [flag.value for flag in answer.flags],
        "frames": answer.frames,
        "quality": answer.quality,
        **{name: parts and getattr(parts, name) for name in _PARTS},
        **{f"model_{key}": value for key, value in model.model_dump(mode="json").items()},
    }


_NUMBERS = {"scope_value": pa.float64(), "scope_threshold": pa.float64(), "coverage": pa.float64(),
            "frames": pa.int32(), "quality": pa.float64(), **dict.fromkeys(_PARTS, pa.float64())}  # fmt: skip
_LISTS = ("views", "flags")


def _schema(columns: list[str]) -> pa.Schema:
    kinds = {name: pa.float64() for name in columns if name.startswith("p_")} | _NUMBERS
    kinds |= dict.fromkeys(_LISTS, pa.list_(pa.string()))
    return pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in columns])


def _write_parquet(header: AnswerFileHeader, rows: Iterator[Row], path: Path) -> int:
    schema, count = _schema(table_columns(header)), 0
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        while group := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _write_csv(header: AnswerFileHeader, rows: Iterator[Row], path: Path) -> int:
    columns, count = table_columns(header), 0
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = CsvWriter(handle)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row[name]) for name in columns])
            count += 1
    return count


def table_columns(header: AnswerFileHeader) -> list[str]:
    """Return the columns of a table of answers, in their order."""
    fields = ["file", "sha256", "hash_of", "status", "views", "reason", "code", "sentence"]
    fields += [f"p_{name}" for name in header.classes]
    fields += ["scope_score", "scope_value", "scope_threshold", "coverage", "mode", "flags", "frames", "quality"]
    fields += _PARTS
    return fields + [f"model_{key}" for key in type(header.model).model_fields]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return _SEPARATOR.join(map(str, value)) if isinstance(value, list) else str(value)


_WRITERS: Mapping[str, Callable[[AnswerFileHeader, Iterator[Row], Path], int]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
