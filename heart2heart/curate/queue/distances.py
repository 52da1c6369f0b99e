"""Squared Euclidean distances in float32, by blocks of matrix products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from heart2heart.curate.queue.pool import Ints, Table

_BLOCK = 2**24  # numbers of a block, 64 MiB


def squares(points: Table) -> Table:
    """Return the squared lengths `(n,)` of the rows of `points` `(n, d)`."""
    lengths: Table = np.einsum("ij,ij->i", points, points)
    return lengths


def blocks(points: Table, others: Table) -> Iterator[tuple[slice, Table]]:
    """Yield rows of `points` `(n, d)` and their squared distances `(rows, m)` to all `others` `(m, d)`."""
    own, theirs = squares(points), squares(others)
    step = max(1, _BLOCK // max(1, len(others)))
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        apart = own[rows, None] + theirs - 2 * (points[rows] @ others.T)
        yield rows, np.maximum(apart, 0, out=apart)


def nearest(points: Table, others: Table) -> Table:
    """Return the squared distance `(n,)` of each point to the nearest of `others`; infinite where there are none."""
    found = np.full(len(points), np.inf, np.float32)
    if len(others):
        for rows, apart in blocks(points, others):
            found[rows] = apart.min(1)
    return found


def to_one(points: Table, lengths: Table, place: int) -> Table:
    """Return the squared distances `(n,)` of all points to one of them, `lengths` being their `squares`."""
    apart: Table = lengths + lengths[place] - 2 * (points @ points[place])
    return np.maximum(apart, 0, out=apart)


def centred(points: Table) -> Table:
    """Return the points less their mean: distances stay, and float32 loses less of them."""
    moved: Table = points - points.mean(0, dtype=np.float64).astype(np.float32)
    return moved


def sample(places: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Return at most `most` of `places`, drawn without repetition, in order."""
    return places if len(places) <= most else np.sort(rng.choice(places, most, replace=False))
