"""The pool of clips that a strategy selects from, one row a clip, and the groups of clips that show the same picture.

The tables hold numbers only: no frames, no files, no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError
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
    "vaal": "(n,): how unlike the labeled clips an adversary calls a clip, 0 to 1",
}
"""What a table is called and holds, float32."""


@dataclass(frozen=True)
class ClipPool:
    """Clips, labeled and not.

    Attributes:
        patient: Whose clip it is, int64 `(n,)`, one number a patient.
        labeled_mask: Whether it was read already, bool `(n,)`; such a clip is never picked.
        target: Class that it was labeled with, int64 `(n,)`; -1 where it has none.
        cost: What reading it costs, float64 `(n,)`, above 0; 1 where all cost the same.
        duplicate_group: Clips of one number show the same picture and are asked for once, int64 `(n,)`.
        classes: Names of the classes.
        tables: Of `TABLE_DESCRIPTIONS` those that are known.
        rare: Classes that are to be looked for; empty lets the labels tell.
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
            ConfigError: it is not known.
        """
        if name not in self.tables:
            remedy = "Give a finished run: --run RUN"
            raise ConfigError(f"this method needs the {name} of a run {TABLE_DESCRIPTIONS[name]}", remedy=remedy)
        return self.tables[name]

    @property
    def labeled(self) -> Ints:
        """Places of the clips that are labeled with a class, int64."""
        return np.flatnonzero(self.labeled_mask & (self.target >= 0))

    @property
    def available(self) -> int:
        """Number of clips that may be asked for: of equal pictures one, and none that equals a clip read already."""
        return len(np.setdiff1d(self.duplicate_group[~self.labeled_mask], self.duplicate_group[self.labeled_mask]))


MIN_SHARED_FRAMES = 0.5
"""Of the frames compared, those of the shorter clip that must have their like in the other."""

FindDuplicates = Callable[[npt.NDArray[np.uint64], Ints, Ints, Frames], tuple[Ints, int]]
"""Finds pairs of frames of different clips that show the same picture, as
`heart2heart.store.near_duplicates.find_near_duplicates` does; the caller passes it in."""


def duplicate_groups(owner: Ints, pairs: Ints, count: int) -> Ints:
    """Return a number for each clip, `(count,)`, equal where clips are linked by enough like frames.

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
