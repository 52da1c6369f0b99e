"""What the page takes from files beside the stores: a model's suggestions, and the order in which clips are asked."""

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
    """What a model calls a clip.

    Attributes:
        view: The likeliest view of the clip, by the mean of its frames' log-probabilities.
        probability: That probability.
        run: The run that predicted.
    """

    view: str
    probability: float
    run: str


def read_suggestions(path: Path, run: str | None = None) -> dict[str, Suggestion]:
    """Return the suggestion for each clip of a predictions file.

    Args:
        path: `predictions.parquet` of an evaluation.
        run: Which run; may be left out when there is only one.

    Raises:
        UnknownNameError: no such run.
        ConfigError: several runs, and none named.
    """
    predictions = Predictions.read(path)
    runs = [about.run for about in predictions.provenance.runs]
    if run is None and len(runs) != 1:
        raise ConfigError("these predictions are of several runs", where=path, remedy=f"--run: {', '.join(runs)}")
    chosen = runs[0] if run is None else run
    if chosen not in runs:
        raise UnknownNameError.among("run", chosen, runs)
    # Altered copies of a frame repeat its clip under another role; they are no evidence about it.
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
        LabelError: it is neither, or lacks the columns.
    """
    table = _read_queue_table(path)
    rows = zip(table["clip"].cast(pa.string()).to_pylist(), table["why"].cast(pa.string()).to_pylist(), strict=True)
    reasons = {clip: why or "" for clip, why in rows if clip}
    if not reasons:
        raise MissingInputError("this queue names no clip", where=path)
    return reasons


def read_readings_wanted(path: Path) -> Mapping[str, int]:
    """Return how many raters are to read each clip, where the queue has the column `readings`; see `read_queue`.

    Raises:
        LabelError: `readings` holds something else than numbers from 1 on.
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
        raise MissingInputError("no queue here", where=path) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise LabelError("this queue is not readable as Parquet or CSV", where=path) from error
    if not {"clip", "why"} <= set(table.column_names):
        raise LabelError("this queue lacks a column", where=path, remedy="Needed: clip and why")
    return table
