"""Clips that show the same picture: asked for once, and not at all where one of them was read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from heart2heart.active_learning.pool import Ints
from heart2heart.store.frame_store import Frames

MIN_SHARED_FRAMES = 0.5
"""Of the frames compared, those of the shorter clip that must have their like in the other."""

FindDuplicates = Callable[[npt.NDArray[np.uint64], Ints, Ints, Frames], tuple[Ints, int]]
"""`heart2heart.store.near_duplicates.find_near_duplicates`: pairs of frames of different clips that show the same picture. It is
handed in, since splits stand downstream of this room."""


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
        ours, theirs = matched.setdefault((int(owner[left]), int(owner[right])), (set(), set()))
        ours.add(left)
        theirs.add(right)
    for (one, other), (ours, theirs) in sorted(matched.items()):
        if min(len(ours), len(theirs)) >= MIN_SHARED_FRAMES * min(frames[one], frames[other]):
            first, second = sorted((lead(one), lead(other)))
            leader[second] = first
    return np.array([lead(clip) for clip in range(count)], np.int64)
