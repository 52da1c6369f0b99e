"""Finds processed copies of frames: cropped, padded, shifted, turned, mirrored, overlaid, re-encoded.

Every clip is represented by a few frames. Their descriptors are compared all with all, and
the nearest pairs are registered.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from heart2heart.store.copy_features import FREQUENCIES, CopyFeatures, copy_features
from heart2heart.store.frame_store import Frames
from heart2heart.store.registration import registered_correlation

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

MIN_SIDE = 32
"""Side, pixels, from which frames are large enough to be registered."""

MAX_REGISTERED = 40_000
"""Number of candidate pairs that are registered at most; the nearest of every clip come first."""

CLIP_FRAMES = (3, 16)
"""Number of frames that represent a clip, at least and at most."""

INDEX_FRAMES = 60_000
"""Number of frames to compare; more only where there are many clips."""

_NEAREST = 2  # candidates a frame and descriptor
_PARTS = 8  # parts of the index; of each the nearest frame competes
_QUERIES = 512
_READ = 512
_THREADS = 4


@dataclass(frozen=True)
class CopyIndex:
    """Descriptors of n frames.

    Attributes:
        positions: int64 `(n,)`, what the caller calls the frames.
        in_place: float32 `(n, 2, d)`, see `CopyFeatures`.
        canonical: float32 `(n, 2, d)`.
    """

    positions: Ints
    in_place: Floats
    canonical: Floats

    @classmethod
    def of(cls, positions: Ints, rows: Ints, stores: Frames) -> CopyIndex:
        """Read and describe the frames at `rows[positions]`."""
        count = FREQUENCIES**2 // 2
        in_place, canonical = (np.empty((len(positions), 2, count), np.float32) for _ in range(2))
        for start in range(0, len(positions), _READ):
            part = slice(start, start + _READ)
            features = copy_features(stores.read(rows[positions[part]]))
            in_place[part], canonical[part] = features.in_place, features.canonical
        return cls(positions, in_place, canonical)

    def take(self, chosen: Ints) -> CopyIndex:
        """Return the index of some of its frames."""
        return CopyIndex(self.positions[chosen], self.in_place[chosen], self.canonical[chosen])


@dataclass(frozen=True)
class Candidates:
    """m pairs of frames that may be copies.

    Attributes:
        left: int64 `(m,)`, entries of the queries.
        right: int64 `(m,)`, entries of the index.
        mirrored: bool `(m,)`, whether they resemble each other when one is mirrored.
        similarity: float32 `(m,)`, of their descriptors.
    """

    left: Ints
    right: Ints
    mirrored: npt.NDArray[np.bool_]
    similarity: Floats

    def take(self, chosen: npt.NDArray[np.intp]) -> Candidates:
        """Return some of the candidates."""
        return Candidates(self.left[chosen], self.right[chosen], self.mirrored[chosen], self.similarity[chosen])


def clip_frames(clips: npt.NDArray[np.generic]) -> Ints:
    """Return positions of the frames that represent each clip, spread over it, sorted."""
    least, most = CLIP_FRAMES
    count = int(np.clip(INDEX_FRAMES // max(len(np.unique(clips)), 1), least, most))
    order = np.argsort(clips, kind="stable")
    starts = np.flatnonzero(np.r_[True, clips[order][1:] != clips[order][:-1]]) if len(clips) else np.empty(0, np.intp)
    lengths = np.diff(np.append(starts, len(clips)))
    shares = (np.arange(count) + 0.5) / count
    chosen = starts[:, None] + (shares * lengths[:, None]).astype(np.int64)
    return np.sort(order[np.unique(chosen)]).astype(np.int64)


def nearest_frames(
    queries: CopyFeatures | CopyIndex, index: CopyIndex, apart: tuple[Ints, Ints] | None = None
) -> Candidates:
    """Find the frames of the index whose descriptors are nearest to those of each query.

    Args:
        queries: The frames in question.
        index: The frames among which to search.
        apart: Group numbers of the queries and of the index; pairs of one group are left out.
    """
    nearest: list[tuple[Ints, Ints, npt.NDArray[np.bool_], Floats]] = []
    n, m = len(queries.in_place), len(index.positions)
    edges = np.unique(np.linspace(0, m, min(_PARTS, m) + 1).astype(np.int64)) if m else np.zeros(1, np.int64)
    for start in range(0, n, _QUERIES):
        rows = np.arange(start, min(start + _QUERIES, n))
        for name in ("in_place", "canonical"):
            query, other = getattr(queries, name)[rows], getattr(index, name)
            best = [_best_of_part(query, other, rows, slice(*edge), apart) for edge in pairwise(edges.tolist())]
            if not best:
                continue
            similarity = np.stack([part[0] for part in best], axis=1)
            for column in np.argsort(-similarity, axis=1, kind="stable")[:, :_NEAREST].T:
                at = np.arange(len(rows)), column
                right = np.stack([part[1] for part in best], axis=1)[at]
                mirrored = np.stack([part[2] for part in best], axis=1)[at]
                nearest.append((rows, right, mirrored, similarity[at]))
    if not nearest:
        nothing = np.empty(0, np.int64)
        return Candidates(nothing, nothing, np.empty(0, bool), np.empty(0, np.float32))
    left, right, mirrored, similarity = (np.concatenate(column) for column in zip(*nearest, strict=True))
    key = (left * max(m, 1) + right) * 2 + mirrored
    _, first = np.unique(np.where(similarity > -1, key, -1), return_index=True)
    return Candidates(left, right, mirrored, similarity).take(first[similarity[first] > -1])


def _best_of_part(
    query: Floats, other: Floats, rows: Ints, part: slice, apart: tuple[Ints, Ints] | None
) -> tuple[Floats, Ints, npt.NDArray[np.bool_]]:
    even = query[:, 0] @ other[part, 0].T
    odd = query[:, 1] @ other[part, 1].T
    even += np.abs(odd)
    if apart is not None:
        even[apart[0][rows][:, None] == apart[1][part]] = -2
    best = even.argmax(axis=1)
    at = np.arange(len(rows)), best
    return even[at], best + part.start, odd[at] < 0


def candidate_ranks(pairs: Candidates, clips: npt.NDArray[np.generic]) -> Ints:
    """Return the rank of each candidate by similarity, from 0, among those of the same clip.

    Args:
        pairs: The candidates.
        clips: `(n,)`, clips of the queries.
    """
    clip = clips[pairs.left]
    order = np.lexsort((-pairs.similarity, clip))
    new = np.r_[True, clip[order][1:] != clip[order][:-1]] if len(order) else np.empty(0, bool)
    starts = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - starts
    return ranks


def register_candidates(
    pairs: Candidates, left: Ints, right: Ints, stores: Frames, queries: CopyFeatures | None = None
) -> Floats:
    """Return the registered correlation of candidates, float32 `(m,)`.

    Args:
        pairs: The candidates.
        left: int64 `(n,)`, rows of the queries in the stores; unused with `queries`.
        right: int64, rows of the frames of the index.
        stores: Where the pixels are.
        queries: Features of the queries, where they are in no store.
    """
    scores = np.zeros(len(pairs.left), np.float32)

    def register(start: int) -> None:
        part = slice(start, start + _READ)
        chosen = pairs.left[part]
        one = queries.take(chosen) if queries is not None else copy_features(stores.read(left[chosen]))
        other = copy_features(stores.read(right[pairs.right[part]]))
        scores[part] = registered_correlation(one, other, pairs.mirrored[part])

    # NumPy releases the interpreter's lock; the threads share the memory-mapped frames.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        list(pool.map(register, range(0, len(scores), _READ)))
    return scores
