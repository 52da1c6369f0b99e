"""Near-duplicate frames across groups: the same picture under two names.

A 64-bit difference hash is cut into four 16-bit bands; two hashes within Hamming distance 3 agree in at least one band
(pigeonhole), so candidates are found by sorting, not by comparing all pairs. Every candidate is then confirmed on the
pixels, block by block, since sectors of one machine can share a hash without sharing a picture: however many
candidates there are, none is left out and they are never all in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart.frames.store import Frames
from heart2heart.predictions import Check
from heart2heart.splits.checks import GROUPS, grouped
from heart2heart.splits.sketch import MIN_CORRELATION, Sketches, correlate

Ints = npt.NDArray[np.int64]

MAX_HAMMING = 3
ENOUGH = 1000
"""Confirmed pairs after which the check stops counting: it has failed by then."""

_BLOCK = 4_000_000  # pairs of hashes compared at a time
_PAIRS = 65_536  # candidates confirmed at a time


def candidates(hashes: npt.NDArray[np.uint64], groups: Ints) -> Iterator[Ints]:
    """Find the pairs of different groups whose hashes differ in at most three bits.

    Args:
        hashes: uint64 `(n,)`.
        groups: int64 `(n,)`, one number a group.

    Yields:
        int64 `(m, 2)`, positions with the lower group first, m at least 1 and at most `_BLOCK` or n; over all blocks
        each pair once.
    """
    for band in range(4):
        part = _band(hashes, band)
        order = np.lexsort((groups, part))
        starts = np.flatnonzero(np.diff(part[order], prepend=-1))
        stops = np.append(starts[1:], len(order))
        several = groups[order[starts]] != groups[order[stops - 1]] if len(order) else np.empty(0, bool)
        for start, stop in zip(starts[several].tolist(), stops[several].tolist(), strict=True):
            yield from _bucket(order[start:stop], hashes, groups, band)


def _band(codes: npt.NDArray[np.uint64], band: int) -> Ints:
    return ((codes >> np.uint64(16 * band)) & np.uint64(0xFFFF)).astype(np.int64)


def _bucket(bucket: Ints, hashes: npt.NDArray[np.uint64], groups: Ints, band: int) -> Iterator[Ints]:
    """Compare the members of one bucket, sorted by group, each with those of higher groups."""
    group = groups[bucket]
    edges = np.flatnonzero(np.diff(group, prepend=group[0] - 1, append=group[-1] + 1))
    for first, last in pairwise(edges[:-1].tolist()):
        right = bucket[last:]
        step = max(1, _BLOCK // len(right))
        for start in range(first, last, step):
            left = bucket[start : min(start + step, last)]
            apart = hashes[left][:, None] ^ hashes[right][None, :]
            rows, columns = np.nonzero(np.bitwise_count(apart) <= MAX_HAMMING)
            if band and len(rows):  # a pair that agrees in an earlier band was found there
                new = np.logical_and.reduce([_band(apart[rows, columns], earlier) != 0 for earlier in range(band)])
                rows, columns = rows[new], columns[new]
            if len(rows):
                yield np.stack([left[rows], right[columns]], axis=1)


def same_pictures(
    hashes: npt.NDArray[np.uint64], groups: Ints, rows: Ints, stores: Frames, *, most: int | None = None
) -> tuple[Ints, int]:
    """Find the pairs of different groups that show the same picture.

    Args:
        hashes: uint64 `(n,)`.
        groups: int64 `(n,)`, one number a group.
        rows: int64 `(n,)`, rows of the frames in `stores`.
        stores: Where their pixels are.
        most: Stop once this many are confirmed; None finds all.

    Returns:
        The confirmed pairs, int64 `(m, 2)`, sorted, and the number of candidates that were compared by pixels.
    """
    sketches = Sketches(rows, stores)
    found: list[Ints] = []
    compared = confirmed = 0
    for block in candidates(hashes, groups):
        for start in range(0, len(block), _PAIRS):
            pairs = block[start : start + _PAIRS]
            compared += len(pairs)
            pairs = pairs[sketches.possible(pairs)]
            pairs = pairs[correlate(pairs, rows, stores) >= MIN_CORRELATION]
            found.append(pairs)
            confirmed += len(pairs)
            if most is not None and confirmed >= most:
                return np.unique(np.concatenate(found), axis=0), compared
    return (np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), np.int64)), compared


def check(members: pa.Table, stores: Frames) -> Check:
    """Fail when a validation or test frame shows the same picture as a frame of another group."""
    used = grouped(members)
    if len(used) == 0:
        return Check(name="near_duplicates", status="fail", detail="no frame is used")
    where = used["frame"].to_pylist()
    place = {frame: number for number, frame in enumerate(stores.frames["frame"].to_pylist())}
    positions = np.array([place[frame] for frame in where], np.int64)
    hashes = stores.frames["dhash"].to_numpy()[positions].astype(np.uint64)
    rows = stores.frames["row"].to_numpy()[positions].astype(np.int64)
    numbers = {name: number for number, name in enumerate(sorted(set(GROUPS.values())))}
    groups = np.array([numbers[name] for name in used["group"].to_pylist()], np.int64)
    same, compared = same_pictures(hashes, groups, rows, stores, most=ENOUGH)
    if len(same):
        left, right = (where[int(same[0][side])] for side in (0, 1))
        number = f"{len(same)}" if len(same) < ENOUGH else f"at least {len(same)}"
        detail = f"{number} pairs of frames across groups show the same picture, e.g. {left} and {right}"
        return Check(name="near_duplicates", status="fail", detail=detail)
    detail = f"{len(used)} frames compared by hash, all {compared} candidate pairs compared by pixels, none the same"
    return Check(name="near_duplicates", status="pass", detail=detail)
