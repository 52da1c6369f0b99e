"""Writes the queue as a file with the columns of `schema.labels.QUEUE_SCHEMA`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from heart2heart import __version__
from heart2heart.active_learning.queue import LabelingQueue, QueueSettings
from heart2heart.csv_files import escape_formula
from heart2heart.errors import ConfigError
from heart2heart.schema.flags_rule import FlagsRule, usual_rule
from heart2heart.schema.labels import QUEUE_METADATA_KEY, QUEUE_SCHEMA
from heart2heart.schema.views import TAXONOMY_VERSION
from heart2heart.utils import atomic_path


def queue_table(queue: LabelingQueue, settings: QueueSettings) -> pa.Table:
    """Return the queue as a table of `QUEUE_SCHEMA`, in order."""
    indices = np.array([selected.index for selected in queue.selected], np.int64)
    probabilities = queue.pool.tables.get("probabilities")
    views = None if probabilities is None else [queue.pool.classes[index] for index in probabilities[indices].argmax(1)]
    columns = {
        "clip": [queue.clips[index] for index in indices],
        "why": [selected.reason for selected in queue.selected],
        "rank": list(range(1, len(indices) + 1)),
        "score": [selected.score for selected in queue.selected],
        "cost": queue.pool.cost[indices],
        "site": [queue.sites[index] for index in indices],
        "method": [settings.by] * len(indices),
        "view": views or [None] * len(indices),
        "probability": [None] * len(indices) if probabilities is None else probabilities[indices].max(1),
        "inclusion": [selected.inclusion for selected in queue.selected],
    }
    return pa.table(columns, schema=QUEUE_SCHEMA)


def check_queue_suffix(path: Path) -> None:
    """Refuse a file name whose suffix is not of a queue.

    Raises:
        ConfigError: the suffix is neither `.parquet` nor `.csv`.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ConfigError("a queue is a Parquet or a CSV file", where=path, remedy="End its name by .parquet or .csv")


def write_queue(
    queue: LabelingQueue,
    settings: QueueSettings,
    path: Path,
    *,
    run: str | None = None,
    flags: FlagsRule | None = None,
) -> pa.Table:
    """Write a queue whole or not at all, and return its rows.

    The metadata of a Parquet file hold the settings, the run and the flags rule; a CSV file has no metadata.

    Args:
        queue: The selected clips.
        settings: How they were selected.
        path: File to write, `.parquet` or `.csv`.
        run: Name of the run.
        flags: The flags rule by which clips were kept out. None is `usual`.

    Raises:
        ConfigError: the suffix is another one.
    """
    check_queue_suffix(path)
    table = queue_table(queue, settings)
    metadata = settings.model_dump(mode="json") | {"run": run, "taxonomy": TAXONOMY_VERSION, "heart2heart": __version__}
    metadata["flags"] = (flags or usual_rule()).model_dump(mode="json")
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            _write_csv(table, temporary)
        else:
            parquet_metadata = {QUEUE_METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()}
            pq.write_table(table.replace_schema_metadata(parquet_metadata), temporary, compression="zstd")
    return table


def write_pool_predictions(queue: LabelingQueue, path: Path) -> None:
    """Write the probabilities of every clip without a label as a table of predictions, `.parquet` or `.csv`.

    Patients are numbered; the columns are those of `schema.prediction_table`, without the truth.

    Raises:
        ConfigError: the queue was built without a run, or the suffix is another one.
    """
    check_queue_suffix(path)
    probabilities = queue.pool.tables.get("probabilities")
    if probabilities is None:
        raise ConfigError("predictions need a model", where=path, remedy="Give a finished run: --run RUN")
    rows = np.flatnonzero(~queue.pool.labeled_mask)
    columns = {
        "case": [queue.clips[row] for row in rows],
        "patient": [f"patient-{queue.pool.patient[row]:06d}" for row in rows],
        "site": [queue.sites[row] for row in rows],
        **{
            name: probabilities[rows, index].astype(np.float64).round(7)
            for index, name in enumerate(queue.pool.classes)
        },
    }
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            _write_csv(pa.table(columns), temporary)
        else:
            pq.write_table(pa.table(columns), temporary, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    """Write a table as CSV in which no text is a formula for a spreadsheet program."""
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type):
            column = [None if text is None else escape_formula(text) for text in column.to_pylist()]
        columns[escape_formula(name)] = column
    pyarrow.csv.write_csv(pa.table(columns), path)
