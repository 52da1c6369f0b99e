"""The clips to select from: their tables, and which are labeled and what a reading costs by the label store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from heart2heart.errors import ConfigError, LabelError, MissingInputError
from heart2heart.labels.consensus import consensus_labels
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind
from heart2heart.store.frame_store import Frames

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

TABLE_DESCRIPTIONS: Mapping[str, str] = {
    "probabilities": "(n, classes): probabilities of the clip by the selected weights, by the rule of `aggregation`",
    "embeddings": "(n, d): mean over the clip's frames of what enters the network's last linear layer",
    "weights": "(d, classes): weights of that layer",
    "bias": "(classes,): its bias",
    "earlier": "(n, classes): probabilities of the run before, or of this run's raw weights at its last step",
    "student": "(n, classes): probabilities of the raw weights at the run's last step",
    "teacher": "(n, classes): probabilities of the averaged weights at the run's last step",
    "vaal": "(n,): probability by an adversary that a clip is not labeled, 0 to 1",
}
"""Shape and content of each table by its name; tables are float32."""


@dataclass(frozen=True)
class ClipPool:
    """Clips, labeled and not.

    Attributes:
        patient: Number of the patient of each clip, int64 `(n,)`.
        labeled_mask: Whether the clip was read already, bool `(n,)`; such a clip is never selected.
        target: Class of the label, int64 `(n,)`; -1 without a class.
        cost: Cost of reading the clip, float64 `(n,)`, above 0; 1 where all costs are equal.
        duplicate_group: Clips of one group show the same picture, and one of them is selected at most, int64 `(n,)`.
        classes: Names of the classes.
        tables: The known tables of `TABLE_DESCRIPTIONS`, by name.
        rare: Rare classes to select for; empty determines them from the labels.
    """

    patient: Ints
    labeled_mask: Bools
    target: Ints
    cost: Floats
    duplicate_group: Ints
    classes: tuple[str, ...]
    tables: Mapping[str, Table] = field(default_factory=dict)
    rare: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.patient)

    def table(self, name: str) -> Table:
        """Return the table `name` of `TABLE_DESCRIPTIONS`.

        Raises:
            ConfigError: the pool does not have this table.
        """
        if name not in self.tables:
            remedy = "Give a finished run: --run RUN"
            raise ConfigError(f"this method needs the {name} of a run {TABLE_DESCRIPTIONS[name]}", remedy=remedy)
        return self.tables[name]

    @property
    def labeled(self) -> Ints:
        """Indices of the clips that are labeled with a class, int64."""
        return np.flatnonzero(self.labeled_mask & (self.target >= 0))

    @property
    def available(self) -> int:
        """Number of clips that may be selected: one of each duplicate group without a clip that was read."""
        return len(np.setdiff1d(self.duplicate_group[~self.labeled_mask], self.duplicate_group[self.labeled_mask]))


MIN_SHARED_FRAMES = 0.5
"""Share of the shorter clip's frames that must have a near-duplicate in the other clip."""

FindDuplicates = Callable[[npt.NDArray[np.uint64], Ints, Ints, Frames], tuple[Ints, int]]
"""Finds pairs of frames of different clips that show the same picture, as
`heart2heart.store.near_duplicates.find_near_duplicates` does; the caller passes it in."""


def duplicate_groups(owner: Ints, pairs: Ints, count: int) -> Ints:
    """Return the group of each clip, int64 `(count,)`: clips that enough near-duplicate frames link have one group.

    Args:
        owner: Clip of each frame, int64 `(f,)`.
        pairs: Frames that show the same picture, int64 `(m, 2)`, positions in `owner`.
        count: Number of clips.
    """
    frames = np.bincount(owner, minlength=count)
    leader = np.arange(count)

    def lead(clip: int) -> int:
        while leader[clip] != clip:
            leader[clip] = leader[leader[clip]]
            clip = int(leader[clip])
        return clip

    matched: dict[tuple[int, int], tuple[set[int], set[int]]] = {}
    for left, right in pairs.tolist():
        if owner[left] > owner[right]:
            left, right = right, left
        left_frames, right_frames = matched.setdefault((int(owner[left]), int(owner[right])), (set(), set()))
        left_frames.add(left)
        right_frames.add(right)
    for (one, other), (left_frames, right_frames) in sorted(matched.items()):
        if min(len(left_frames), len(right_frames)) >= MIN_SHARED_FRAMES * min(frames[one], frames[other]):
            first, second = sorted((lead(one), lead(other)))
            leader[second] = first
    return np.array([lead(clip) for clip in range(count)], np.int64)


MIN_TIMED_READINGS = 5
"""Fewest readings of a view for a median of its own; a view with fewer takes the median of all readings."""


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
        LabelError: no reading has a time.
    """
    timed = [
        (event.view, event.seconds)
        for event in active_events(events)
        if event.kind == EventKind.LABEL and event.seconds
    ]
    if not timed:
        remedy = "Give a file of clip and cost, or leave --cost out"
        raise LabelError("no reading in the label store has a time", remedy=remedy)
    overall = float(np.median([seconds for _, seconds in timed]))
    medians = [overall]  # the last one is that of an unknown class, index -1
    for name in reversed(classes):
        view_seconds = [seconds for view, seconds in timed if view == name]
        medians.insert(0, float(np.median(view_seconds)) if len(view_seconds) >= MIN_TIMED_READINGS else overall)
    return np.array(medians)[predicted]


def read_annotation_costs(path: Path, clips: Sequence[str]) -> Floats:
    """Return the cost of each clip from a Parquet or CSV file with the columns `clip` and `cost`.

    Raises:
        MissingInputError: no such file.
        LabelError: the file has another format, lacks a column or a clip, or a cost is not above 0.
    """
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
        costs: Mapping[str, float | None] = dict(
            zip(table["clip"].cast(pa.string()).to_pylist(), table["cost"].cast(pa.float64()).to_pylist(), strict=True)
        )
    except FileNotFoundError as error:
        raise MissingInputError("no file of costs here", where=path) from error
    except (OSError, ValueError, pa.ArrowException, KeyError) as error:
        remedy = "Needed: Parquet or CSV with the columns clip and cost"
        raise LabelError("this file of costs cannot be read", where=path, remedy=remedy) from error
    clip_costs = np.array([costs.get(clip) for clip in clips], np.float64)
    if np.isnan(clip_costs).any():
        what = f"{int(np.isnan(clip_costs).sum())} clips of the stores have no cost"
        raise LabelError(what, where=path, remedy="Give every clip a cost")
    if not (np.isfinite(clip_costs) & (clip_costs > 0)).all():
        raise LabelError("a cost is not a number above 0", where=path)
    return clip_costs
