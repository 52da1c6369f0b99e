"""Readings and costs of clips by the label store: which clips were read, their class, and the time of a reading."""

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
    """Return which clips were read, as a whole or a frame of it, and their last class.

    A clip labeled unusable, unsure or with a view outside the classes counts as read and has no class.

    Args:
        clips: Pseudonyms, n.
        classes: Names of the classes.
        events: Events of the label store, in their order.

    Returns:
        bool `(n,)` and int64 `(n,)`, -1 without a class.
    """
    active = active_events(events)
    read = {event.clip for event in active}
    agreed = consensus_labels(active)
    of_frames = {event.clip: agreed[event.frame] for event in active if event.frame and event.frame in agreed}
    class_index = {name: index for index, name in enumerate(classes)}
    views = [agreed.get(clip, of_frames.get(clip, "")) for clip in clips]
    return np.array([clip in read for clip in clips], bool), np.array(
        [class_index.get(view, -1) for view in views], np.int64
    )


def expected_seconds(predicted: Ints, classes: Sequence[str], events: Sequence[LabelEvent]) -> Floats:
    """Return the expected reading time of each clip: the median of earlier readings of its predicted view.

    Args:
        predicted: Predicted class of each clip, int64 `(n,)`; -1 where unknown.
        classes: Names of the classes.
        events: Events of the label store.

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
        view_seconds = [seconds for view, seconds in timed if view == name]
        medians.insert(0, float(np.median(view_seconds)) if len(view_seconds) >= MIN_TIMED_READINGS else overall)
    return np.array(medians)[predicted]


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
    clip_costs = np.array([costs.get(clip) for clip in clips], np.float64)
    if np.isnan(clip_costs).any():
        what = f"{int(np.isnan(clip_costs).sum())} clips of the stores have no cost"
        raise LabelError(what, where=path, remedy="Give every clip a cost")
    if not (np.isfinite(clip_costs) & (clip_costs > 0)).all():
        raise LabelError("a cost is not a number above 0", where=path)
    return clip_costs
