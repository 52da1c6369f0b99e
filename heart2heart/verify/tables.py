"""Lists the values of Parquet and Arrow files, SQLite databases and arrays of numbers or text."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 2**16
_VALUES = 2**18  # numbers of an array that are written as text at once


def parquet_artefacts(handle: IO[bytes]) -> Iterator[tuple[str, Iterable[bytes], bool]]:
    """Yield location, values and whether they are bytes, of the metadata, the names and each column."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(handle)
    yield from _columns(table.schema_arrow, lambda name: _first(table.iter_batches(_ROWS, columns=[name])))


def arrow_artefacts(handle: IO[bytes]) -> Iterator[tuple[str, Iterable[bytes], bool]]:
    """Yield the same as `parquet_artefacts`, of a file of Arrow record batches."""
    import pyarrow as pa

    handle.seek(0)
    reader = pa.ipc.open_file(handle)
    batches = range(reader.num_record_batches)
    yield from _columns(reader.schema, lambda name: (reader.get_batch(at).column(name) for at in batches))


def _columns(
    schema: pa.Schema, parts: Callable[[str], Iterator[pa.Array]]
) -> Iterator[tuple[str, Iterable[bytes], bool]]:
    yield "metadata", (part + b"\n" for item in (schema.metadata or {}).items() for part in item), False
    yield "names of columns", ("\n".join(schema.names).encode(),), False
    for column in schema:
        yield f"column {column.name}", _column(parts(column.name), column), str(column.type) == "binary"


def _first(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Array]:
    return (batch.column(0) for batch in batches)


def _column(parts: Iterator[pa.Array], column: pa.Field[pa.DataType]) -> Iterator[bytes]:
    for values in parts:
        plain = values.to_pylist() if column.type.num_fields else values.unique().to_pylist()
        for value in plain:
            yield (value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")) + b"\n"


def sqlite_artefacts(path: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield location and values of each table."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            quoted = name.decode().replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')
            values = (value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
            yield f"table {name.decode()}", (value + b"\n" for value in values)


def npy_values(handle: IO[bytes]) -> Iterator[Iterator[bytes]]:
    """Yield the values of an array of wide integers, floats of whole numbers, or text; other arrays are pixels."""
    handle.seek(0)
    version = np.lib.format.read_magic(handle)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version in read_header:
        _, _, kind = read_header[version](handle)
        if kind.hasobject:
            raise ValueError("an array of objects is not read")
        if kind.kind in "USM" or (kind.kind in "iu" and kind.itemsize >= 4):
            yield _values(handle, kind)


def _values(handle: IO[bytes], kind: np.dtype[np.generic]) -> Iterator[bytes]:
    size = max(1, kind.itemsize)
    piece = max(1, min(_VALUES, 2**24 // size)) * size
    while data := handle.read(piece):
        for value in np.frombuffer(data[: len(data) // size * size], kind).tolist():
            yield (value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")) + b"\n"
