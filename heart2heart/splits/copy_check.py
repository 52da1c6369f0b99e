"""Searches a split for processed copies of frames, and measures what the search finds and how often it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.enums import CheckStatus, ClipMode, SplitRole
from heart2heart.schema.split import PLANTED_COPIES, Check
from heart2heart.splits.planted_copies import COPY_KINDS
from heart2heart.store.copy_features import copy_features
from heart2heart.store.copy_search import (
    MAX_REGISTERED,
    MIN_SIDE,
    CopyIndex,
    candidate_ranks,
    clip_frames,
    nearest_frames,
    register_candidates,
)
from heart2heart.store.frame_store import Frames

Ints = npt.NDArray[np.int64]

THRESHOLDS = (0.92, 0.95)
"""Lowest and highest registered correlation from which two frames count as copies. Frames of two simulated patients
reached 0.91, so that a lower one stopped a demo by a false alarm; planted copies are found as well."""

PLANTED = 40
"""Number of training frames of which copies of each kind are planted, at most."""

MIN_RECALL = 0.5
"""Share of the planted copies of a kind below which the certificate warns."""

_MARGIN = 0.05  # added to the 99.5 % quantile of pairs of different patients
_MEASURED = 300  # frames whose nearest frames of other patients measure false alarms
_FEW = 20  # pairs below which nothing is measured


@dataclass(frozen=True)
class CopySearch:
    """What the search for copies found.

    Attributes:
        pairs: Names of frames of different groups that are copies, the most alike first.
        scores: float32, their registered correlations.
        frames: Number of frames compared by descriptor.
        registered: Number of pairs registered.
        candidates: Number of pairs that could have been registered.
        threshold: Correlation from which frames count as copies.
        measured: Number of pairs of different patients that measure false alarms.
        false_alarms: Number of these at or above the threshold.
        recall: Kind of copy -> share of the planted ones that were found.
        planted: Number of copies planted of each kind.
    """

    pairs: tuple[tuple[str, str], ...]
    scores: tuple[float, ...]
    frames: int
    registered: int
    candidates: int
    threshold: float
    measured: int
    false_alarms: int
    recall: dict[str, float]
    planted: int


def search_copies(used: pa.Table, stores: Frames, *, seed: int = 0) -> CopySearch | None:
    """Search the frames of different groups for processed copies.

    Args:
        used: Members of the split that are not excluded, with their `group`.
        stores: The stores of the split.
        seed: Of the frames that are planted and measured.

    Returns:
        What was found; None where the frames are too small to be registered.
    """
    if stores.geometry.size < MIN_SIDE:
        return None
    columns = ["frame", "clip", "patient", "group", "role"]
    where = pc.index_in(used["frame"], stores.frames["frame"])
    frames = stores.frames.take(where)
    table = used.select(columns).append_column("row", frames["row"]).append_column("mode", frames["mode"])
    table = table.filter(pc.equal(table["mode"], ClipMode.B_MODE))
    rows = table["row"].to_numpy().astype(np.int64)
    clips, patients, groups = (_numbers(table[name]) for name in ("clip", "patient", "group"))
    index = CopyIndex.of(clip_frames(clips), rows, stores)
    group, patient = groups[index.positions], patients[index.positions]

    rng = np.random.default_rng(seed)
    threshold, measured, false_alarms = _measure(index, group, patient, rows, stores, rng)

    copies: list[tuple[float, int, int]] = []
    candidates = registered = 0
    last = (np.iinfo(np.int64).max, -1.0)  # rank and similarity of the last candidate that is registered
    group_pairs = list(combinations(np.unique(group).tolist(), 2))
    for first, second in group_pairs:
        one, other = np.flatnonzero(group == first), np.flatnonzero(group == second)
        if len(one) > len(other):
            one, other = other, one
        left, right = index.take(one), index.take(other)
        pairs = nearest_frames(left, right)
        candidates += len(pairs.left)
        limit = MAX_REGISTERED // len(group_pairs)
        if len(pairs.left) > limit:
            ranks = candidate_ranks(pairs, clips[left.positions])
            order = np.lexsort((-pairs.similarity, ranks))[:limit]
            end = int(ranks[order[-1]]), float(pairs.similarity[order[-1]])
            last = min(last, end, key=lambda pair: (pair[0], -pair[1]))
            pairs = pairs.take(order)
        registered += len(pairs.left)
        scores = register_candidates(pairs, rows[left.positions], rows[right.positions], stores)
        for at in np.flatnonzero(scores >= threshold).tolist():
            ends = int(left.positions[pairs.left[at]]), int(right.positions[pairs.right[at]])
            copies.append((float(scores[at]), *ends))
    copies.sort(key=lambda pair: (-pair[0], pair[1:]))
    trained = np.flatnonzero(pc.equal(table["role"], SplitRole.TRAIN).to_numpy(zero_copy_only=False))
    recall, planted = _plant(trained, index, clips, rows, stores, threshold, last, rng)
    names = table["frame"].to_pylist()
    return CopySearch(
        tuple((names[left], names[right]) for _, left, right in copies),
        tuple(score for score, _, _ in copies),
        len(index.positions),
        registered,
        candidates,
        threshold,
        measured,
        false_alarms,
        recall,
        planted,
    )


def _numbers(column: pa.ChunkedArray) -> Ints:
    return np.unique(np.asarray(column.to_pylist(), str), return_inverse=True)[1].astype(np.int64)


def _measure(
    index: CopyIndex, group: Ints, patient: Ints, rows: Ints, stores: Frames, rng: np.random.Generator
) -> tuple[float, int, int]:
    """Return the threshold from one half of pairs of different patients, and the size and false alarms of the other.

    The pairs are the nearest of each frame within the largest group, where copies across patients are no leak. They
    resemble each other more than pairs at random. Scores above the highest threshold are copies, not false alarms, and
    do not raise the threshold.
    """
    if not len(group):
        return THRESHOLDS[1], 0, 0
    largest = np.flatnonzero(group == np.bincount(group).argmax())
    chosen = np.sort(rng.permutation(largest)[:_MEASURED])
    queries, others = index.take(chosen), index.take(largest)
    pairs = nearest_frames(queries, others, (patient[chosen], patient[largest]))
    scores = register_candidates(pairs, rows[queries.positions], rows[others.positions], stores)
    # The same two patients must not be in both halves.
    half = (patient[chosen][pairs.left] + patient[largest][pairs.right]) % 2 == 1
    basis = scores[half & (scores < THRESHOLDS[1])]
    if len(basis) < _FEW:
        return sum(THRESHOLDS) / 2, int((~half).sum()), int((scores[~half] >= sum(THRESHOLDS) / 2).sum())
    threshold = float(np.clip(np.quantile(basis, 0.995) + _MARGIN, *THRESHOLDS))
    return threshold, int((~half).sum()), int((scores[~half] >= threshold).sum())


def _plant(
    trained: npt.NDArray[np.intp],
    index: CopyIndex,
    clips: Ints,
    rows: Ints,
    stores: Frames,
    threshold: float,
    last: tuple[int, float],
    rng: np.random.Generator,
) -> tuple[dict[str, float], int]:
    """Return the share of planted copies that the search finds by kind, and how many of each were planted."""
    count = min(PLANTED, max(4, len(trained) // 8), len(trained))
    if not count:
        return {}, 0
    chosen = np.sort(rng.permutation(trained)[:count])
    originals = stores.read(rows[chosen])
    recall = {}
    for kind, copy in COPY_KINDS.items():
        planted = copy_features(np.stack([copy(frame) for frame in originals]))
        pairs = nearest_frames(planted, index)
        same = clips[index.positions[pairs.right]] == clips[chosen[pairs.left]]
        # Other candidates cannot find this copy, and later ones would not be registered.
        ranks = candidate_ranks(pairs, np.arange(count))
        kept = (ranks < last[0]) | ((ranks == last[0]) & (pairs.similarity >= last[1]))
        pairs = pairs.take(np.flatnonzero(same & kept))
        scores = register_candidates(pairs, rows[:0], rows[index.positions], stores, planted)
        recall[kind] = len(np.unique(pairs.left[scores >= threshold])) / count
    return recall, count


def check_planted(search: CopySearch | None) -> Check:
    """Report which planted copies the search found; warn where it misses most of a kind, or finds what is none."""
    name = PLANTED_COPIES
    if search is None or not search.planted:
        reason = f"frames below {MIN_SIDE} pixels" if search is None else "no B-mode frame trains"
        return Check(name=name, status=CheckStatus.PASS, detail=f"not measured: {reason}")
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in search.recall.items())
    alarms = f"false alarms: {search.false_alarms} of {search.measured} nearest pairs of different patients"
    detail = (
        f"found of {search.planted} planted copies of each kind: {shares}; {alarms}; threshold {search.threshold:.2f}"
    )
    low = min(search.recall.values()) < MIN_RECALL
    return Check(name=name, status=CheckStatus.WARN if low else CheckStatus.PASS, detail=detail)
