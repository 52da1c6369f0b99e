"""What the label store says of clips: which were read already, as what, and how long a reading takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from heart2heart.active_learning.pool import Bools, Floats, Ints
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.labels.consensus import consensus_labels
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind

MIN_TIMED_READINGS = 5
"""Readings of a view from which their own median tells its time; below, the median of all does."""


def labeled_clips(clips: Sequence[str], classes: Sequence[str], events: Sequence[LabelEvent]) -> tuple[Bools, Ints]:
    """Return which clips somebody read, wholly or a frame of it, and the class that they were given last.

    A clip that was called unusable, unsure or a view outside the classes was read and has no class.

    Args:
        clips: Pseudonyms, n.
        classes: Names of the classes.
        events: Of the label store, in their order.

    Returns:
        bool `(n,)` and int64 `(n,)`, -1 without a class.
    """
    said = active_events(events)
    read = {event.clip for event in said}
    agreed = consensus_labels(said)
    of_frames = {event.clip: agreed[event.frame] for event in said if event.frame and event.frame in agreed}
    number = {name: place for place, name in enumerate(classes)}
    views = [agreed.get(clip, of_frames.get(clip, "")) for clip in clips]
    return np.array([clip in read for clip in clips], bool), np.array(
        [number.get(view, -1) for view in views], np.int64
    )


def expected_seconds(guess: Ints, classes: Sequence[str], events: Sequence[LabelEvent]) -> Floats:
    """Return what reading each clip will take: the median of earlier readings of the view that it is predicted to show.

    Args:
        guess: Predicted class of each clip, int64 `(n,)`; -1 where unknown.
        classes: Names of the classes.
        events: Of the label store.

    Returns:
        Seconds, float64 `(n,)`.

    Raises:
        LabelError: no reading says how long it took.
    """
    timed = [
        (event.view, event.seconds)
        for event in active_events(events)
        if event.kind == EventKind.LABEL and event.seconds
    ]
    if not timed:
        remedy = "Give a file of clip and cost, or leave --cost out"
        raise LabelError("no reading in the label store says how long it took", remedy=remedy)
    overall = float(np.median([seconds for _, seconds in timed]))
    medians = [overall]  # the last one is that of an unknown class: place -1
    for name in reversed(classes):
        mine = [seconds for view, seconds in timed if view == name]
        medians.insert(0, float(np.median(mine)) if len(mine) >= MIN_TIMED_READINGS else overall)
    return np.array(medians)[guess]


def read_annotation_costs(path: Path, clips: Sequence[str]) -> Floats:
    """Return the cost of each clip from a Parquet or CSV file with the columns `clip` and `cost`.

    Raises:
        MissingInputError: no such file.
        LabelError: it is neither, lacks a column or a clip, or a cost is not above 0.
    """
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
        costs: Mapping[str, float | None] = dict(
            zip(table["clip"].cast(pa.string()).to_pylist(), table["cost"].cast(pa.float64()).to_pylist(), strict=True)
        )
    except FileNotFoundError as error:
        raise MissingInputError("no costs here", where=path) from error
    except (OSError, pa.ArrowException, KeyError) as error:
        remedy = "Needed: Parquet or CSV with the columns clip and cost"
        raise LabelError("these costs are not readable", where=path, remedy=remedy) from error
    found = np.array([costs.get(clip) for clip in clips], np.float64)
    if np.isnan(found).any():
        what = f"{int(np.isnan(found).sum())} clips of the stores have no cost"
        raise LabelError(what, where=path, remedy="Give every clip a cost")
    if not (np.isfinite(found) & (found > 0)).all():
        raise LabelError("a cost is not a number above 0", where=path)
    return found
