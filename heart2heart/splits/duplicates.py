"""Near-duplicate frames across groups: the same picture under two names.

A 64-bit difference hash is cut into four 16-bit bands; two hashes within Hamming distance 3 agree in at least one band
(pigeonhole), so candidates are found by sorting, not by comparing all pairs. Every candidate is then confirmed on the
pixels, since sectors of one machine can share a hash without sharing a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heart2heart.frames.store import Frames
from heart2heart.predictions import Check
from heart2heart.splits.checks import GROUPS, grouped

if TYPE_CHECKING:
    from heart2heart.splits.manifest import SplitManifest

MAX_HAMMING = 3
MIN_CORRELATION = 0.98
"""Pixel correlation at which two frames count as the same picture."""


def candidates(
    hashes: npt.NDArray[np.uint64], groups: npt.NDArray[np.int64], *, limit: int = 200_000
) -> npt.NDArray[np.int64]:
    """Find pairs of different groups whose hashes differ in at most three bits.

    Args:
        hashes: uint64 `(n,)`.
        groups: int64 `(n,)`, one number a group.
        limit: Stop after this many pairs.

    Returns:
        int64 `(m, 2)`, positions, each pair once.
    """
    pairs: list[npt.NDArray[np.int64]] = []
    total = 0
    for band in range(4):
        part = ((hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=-1))
        for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
            bucket = order[start:stop]
            if len(bucket) < 2 or len(np.unique(groups[bucket])) < 2:
                continue
            for left in np.array_split(bucket, max(1, len(bucket) * len(bucket) // 4_000_000)):
                distance = np.bitwise_count(hashes[left][:, None] ^ hashes[bucket][None, :])
                near = (distance <= MAX_HAMMING) & (groups[left][:, None] < groups[bucket][None, :])
                rows, columns = np.nonzero(near)
                pairs.append(np.stack([left[rows], bucket[columns]], axis=1))
                total += len(rows)
            if total >= limit:
                return np.unique(np.concatenate(pairs), axis=0)
    return np.unique(np.concatenate(pairs), axis=0) if pairs else np.empty((0, 2), np.int64)


def confirm(
    pairs: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], stores: Frames, *, batch: int = 2048
) -> npt.NDArray[np.float64]:
    """Return the Pearson correlation of the pixels of each candidate pair, float64 `(m,)`."""
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        left, right = (stores.read(rows[part[:, side]]).reshape(len(part), -1).astype(np.float64) for side in (0, 1))
        left -= left.mean(axis=1, keepdims=True)
        right -= right.mean(axis=1, keepdims=True)
        norm = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
        product = (left * right).sum(axis=1)
        found[start : start + batch] = np.where(norm > 0, product / np.maximum(norm, 1e-12), 0.0)
    return found


def check(split: SplitManifest, stores: Frames) -> Check:
    """Fail when a validation or test frame shows the same picture as a frame of another group."""
    used = grouped(split.members)
    if len(used) == 0:
        return Check(name="near_duplicates", status="fail", detail="no frame is used")
    where = used["frame"].to_pylist()
    place = {frame: number for number, frame in enumerate(stores.frames["frame"].to_pylist())}
    positions = np.array([place[frame] for frame in where], np.int64)
    hashes = stores.frames["dhash"].to_numpy()[positions].astype(np.uint64)
    rows = stores.frames["row"].to_numpy()[positions].astype(np.int64)
    numbers = {name: number for number, name in enumerate(sorted(set(GROUPS.values())))}
    groups = np.array([numbers[name] for name in used["group"].to_pylist()], np.int64)
    pairs = candidates(hashes, groups)
    same = pairs[confirm(pairs, rows, stores) >= MIN_CORRELATION]
    if len(same):
        left, right = (where[int(same[0][side])] for side in (0, 1))
        detail = f"{len(same)} pairs of frames across groups show the same picture, e.g. {left} and {right}"
        return Check(name="near_duplicates", status="fail", detail=detail)
    detail = f"{len(used)} frames compared by hash, {len(pairs)} candidate pairs compared by pixels, none the same"
    return Check(name="near_duplicates", status="pass", detail=detail)
