"""Reads the suggestions of a model from predictions, and the order of labeling from a queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from heart2heart.errors import ConfigError, LabelError, MissingInputError, UnknownNameError
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions


@dataclass(frozen=True)
class Suggestion:
    """Suggestion of a model for a clip.

    Attributes:
        view: Most likely view of the clip, by the mean of its frames' log-probabilities.
        probability: Probability of that view.
        run: Name of the run.
    """

    view: str
    probability: float
    run: str


def read_suggestions(path: Path, run: str | None = None) -> dict[str, Suggestion]:
    """Return the suggestion for each clip of a predictions file.

    Args:
        path: `predictions.parquet` of an evaluation.
        run: Name of the run; needed only if the file has several.

    Raises:
        UnknownNameError: the file has no such run.
        ConfigError: the file has several runs, and `run` is None.
    """
    predictions = Predictions.read(path)
    runs = [info.run for info in predictions.provenance.runs]
    if run is None and len(runs) != 1:
        raise ConfigError("these predictions are of several runs", where=path, remedy=f"--run: {', '.join(runs)}")
    chosen = runs[0] if run is None else run
    if chosen not in runs:
        raise UnknownNameError.among("run", chosen, runs)
    # Altered copies of a frame have another role; they say nothing about its view.
    table = predictions.table
    selected = pc.and_(
        pc.equal(table["run"], chosen),
        pc.is_in(table["role"], pa.array([PredictionRole.VALIDATION, PredictionRole.TEST])),
    )
    mask = selected.to_numpy(zero_copy_only=False)
    names, clip = np.unique(table["clip"].to_numpy(zero_copy_only=False)[mask], return_inverse=True)
    probabilities = np.exp(clip_log_probabilities(log_softmax(predictions.logits[mask]), clip, len(names)))
    classes = predictions.provenance.classes
    return {
        str(name): Suggestion(classes[int(of_clip.argmax())], float(of_clip.max()), chosen)
        for name, of_clip in zip(names, probabilities, strict=True)
    }


def read_queue(path: Path) -> Mapping[str, str]:
    """Return the reason by clip, in the order of a Parquet or CSV file with the columns `clip` and `why`.

    Raises:
        MissingInputError: no such file, or an empty one.
        LabelError: the file has another format, or lacks a column.
    """
    table = _read_queue_table(path)
    rows = zip(table["clip"].cast(pa.string()).to_pylist(), table["why"].cast(pa.string()).to_pylist(), strict=True)
    reasons = {clip: reason or "" for clip, reason in rows if clip}
    if not reasons:
        raise MissingInputError("this queue names no clip", where=path)
    return reasons


def read_required_readings(path: Path) -> Mapping[str, int]:
    """Return the number of raters who are to read each clip, by the column `readings` of a queue; see `read_queue`.

    Raises:
        LabelError: a value of `readings` is not a number from 1.
    """
    table = _read_queue_table(path)
    if "readings" not in table.column_names:
        return {}
    counts = table["readings"].to_pylist()
    if not all(isinstance(count, int) and count > 0 for count in counts):
        raise LabelError("the column readings of this queue holds no numbers of raters", where=path)
    return dict(zip(table["clip"].cast(pa.string()).to_pylist(), counts, strict=True))


def _read_queue_table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    except FileNotFoundError as error:
        raise MissingInputError("no queue file here", where=path) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LabelError("this queue cannot be read as Parquet or CSV", where=path) from error
    if not {"clip", "why"} <= set(table.column_names):
        raise LabelError("this queue lacks a column", where=path, remedy="Needed: clip and why")
    return table
