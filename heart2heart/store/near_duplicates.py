"""Near-duplicate frames: pairs that show the same picture, by difference hash and then by pixel correlation.

A 64-bit difference hash is cut into four 16-bit bands; two hashes within Hamming distance 3 agree in at least one band
(pigeonhole), so candidates are found by sorting, not by comparing all pairs. A low-dimensional descriptor excludes
most candidates; the pixels confirm the others, block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from heart2heart.store.frame_store import Frames

MIN_CORRELATION = 0.98
"""Pixel correlation at which two frames count as the same picture."""

_CELLS = 8  # block means per side of a descriptor
_READ = 4096  # frames read at a time
_ROUNDING = 1e-4  # what float32 may add to a squared distance


class DescriptorCache:
    """Descriptors of frames, computed on first use.

    A descriptor is the orthogonal projection of the frame, centred and of unit length, on 8 x 8 block means. A
    projection shortens distances, so the correlation r of two frames with descriptors a and b is at most
    `1 - |a - b|^2 / 2`.
    A pair that the descriptors rule out is therefore no duplicate.

    Args:
        rows: int64 `(n,)`, rows of the frames in `stores`.
        stores: Where their pixels are.
    """

    def __init__(self, rows: npt.NDArray[np.int64], stores: Frames) -> None:
        self._rows, self._stores = rows, stores
        self._made = np.zeros(len(rows), bool)
        self._descriptors = np.empty((len(rows), _CELLS * _CELLS), np.float32)

    def may_match(self, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which pairs `(m, 2)` of positions may correlate by `MIN_CORRELATION`, bool `(m,)`."""
        self._make(np.unique(pairs))
        apart = self._descriptors[pairs[:, 0]]
        apart -= self._descriptors[pairs[:, 1]]
        # The descriptor of a picture of one gray is nan: it correlates with nothing.
        near: npt.NDArray[np.bool_] = np.einsum("ij,ij->i", apart, apart) <= 2 * (1 - MIN_CORRELATION) + _ROUNDING
        return near

    def _make(self, positions: npt.NDArray[np.int64]) -> None:
        new = positions[~self._made[positions]]
        new = new[np.argsort(self._rows[new], kind="stable")]
        for start in range(0, len(new), _READ):
            part = new[start : start + _READ]
            self._descriptors[part] = descriptor(self._stores.read(self._rows[part]))
        self._made[new] = True


def descriptor(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Project uint8 frames `(n, size, size)` on their block means: float32 `(n, 64)`; nan for a picture of one gray."""
    size = frames.shape[-1]
    edges = np.arange(_CELLS) * size // _CELLS
    sides = np.diff(np.append(edges, size))
    sums = np.add.reduceat(np.add.reduceat(frames, edges, axis=1, dtype=np.uint32), edges, axis=2)
    pixels = np.outer(sides, sides).ravel().astype(np.float64)
    sums = sums.reshape(len(frames), -1).astype(np.float64)
    mean = sums.sum(1, keepdims=True) / size**2
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    squares = np.einsum("ij,ij->i", flat, flat, dtype=np.float64)[:, None]
    length = np.sqrt(np.maximum(squares - size**2 * mean**2, 0))
    projected = np.full(sums.shape, np.nan, np.float32)
    # A single pixel one gray level off gives a length of about 1: below a half the frame is of one gray.
    np.divide((sums - pixels * mean) / np.sqrt(pixels), length, out=projected, where=length > 0.5, casting="same_kind")
    return projected


def pair_correlations(
    pairs: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], stores: Frames, *, batch: int = 2048
) -> npt.NDArray[np.float64]:
    """Return the Pearson correlation of the pixels of each pair of positions in `rows`, float64 `(m,)`."""
    correlations = np.empty(len(pairs))
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        left, right = (stores.read(rows[part[:, side]]).reshape(len(part), -1).astype(np.float64) for side in (0, 1))
        left -= left.mean(axis=1, keepdims=True)
        right -= right.mean(axis=1, keepdims=True)
        norm = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
        product = (left * right).sum(axis=1)
        correlations[start : start + batch] = np.where(norm > 0, product / np.maximum(norm, 1e-12), 0.0)
    return correlations


Ints = npt.NDArray[np.int64]

MAX_HAMMING = 3

_BLOCK = 4_000_000  # pairs of hashes compared at a time
_PAIRS = 65_536  # candidates confirmed at a time


def candidate_pairs(hashes: npt.NDArray[np.uint64], groups: Ints) -> Iterator[Ints]:
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
            hits = np.flatnonzero(np.bitwise_count(apart) <= MAX_HAMMING)
            rows, columns = np.divmod(hits, len(right))
            if band and len(rows):  # a pair that agrees in an earlier band was found there
                new = np.logical_and.reduce([_band(apart[rows, columns], earlier) != 0 for earlier in range(band)])
                rows, columns = rows[new], columns[new]
            if len(rows):
                yield np.stack([left[rows], right[columns]], axis=1)


def find_near_duplicates(
    hashes: npt.NDArray[np.uint64], groups: Ints, rows: Ints, stores: Frames, *, max_pairs: int | None = None
) -> tuple[Ints, int]:
    """Find the pairs of different groups that show the same picture.

    Args:
        hashes: uint64 `(n,)`.
        groups: int64 `(n,)`, one number a group.
        rows: int64 `(n,)`, rows of the frames in `stores`.
        stores: Where their pixels are.
        max_pairs: Stop once this many are confirmed; None finds all.

    Returns:
        The confirmed pairs, int64 `(m, 2)`, sorted, and the number of candidates that were compared by pixels.
    """
    descriptors = DescriptorCache(rows, stores)
    confirmed_pairs: list[Ints] = []
    compared = confirmed = 0
    for block in candidate_pairs(hashes, groups):
        for start in range(0, len(block), _PAIRS):
            pairs = block[start : start + _PAIRS]
            compared += len(pairs)
            pairs = pairs[descriptors.may_match(pairs)]
            pairs = pairs[pair_correlations(pairs, rows, stores) >= MIN_CORRELATION]
            confirmed_pairs.append(pairs)
            confirmed += len(pairs)
            if max_pairs is not None and confirmed >= max_pairs:
                return np.unique(np.concatenate(confirmed_pairs), axis=0), compared
    return (
        np.unique(np.concatenate(confirmed_pairs), axis=0) if confirmed_pairs else np.empty((0, 2), np.int64)
    ), compared
