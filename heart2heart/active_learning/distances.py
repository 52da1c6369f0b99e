"""Squared Euclidean distances in float32, by blocks of matrix products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from heart2heart.active_learning.pool import Ints, Table

_BLOCK = 2**24  # numbers of a block, 64 MiB


def squared_norms(points: Table) -> Table:
    """Return the squared lengths `(n,)` of the rows of `points` `(n, d)`."""
    lengths: Table = np.einsum("ij,ij->i", points, points)
    return lengths


def distance_blocks(points: Table, others: Table) -> Iterator[tuple[slice, Table]]:
    """Yield rows of `points` `(n, d)` and their squared distances `(rows, m)` to all `others` `(m, d)`."""
    norms, other_norms = squared_norms(points), squared_norms(others)
    step = max(1, _BLOCK // max(1, len(others)))
    for start in range(0, len(points), step):
        rows = slice(start, start + step)
        distances = norms[rows, None] + other_norms - 2 * (points[rows] @ others.T)
        yield rows, np.maximum(distances, 0, out=distances)


def nearest(points: Table, others: Table) -> Table:
    """Return the squared distance `(n,)` of each point to the nearest of `others`; infinite where there are none."""
    smallest = np.full(len(points), np.inf, np.float32)
    if len(others):
        for rows, distances in distance_blocks(points, others):
            smallest[rows] = distances.min(1)
    return smallest


def squared_distances_to(points: Table, lengths: Table, index: int) -> Table:
    """Return the squared distances `(n,)` of all points to point `index`; `lengths` are their `squared_norms`."""
    distances: Table = lengths + lengths[index] - 2 * (points @ points[index])
    return np.maximum(distances, 0, out=distances)


def centered(points: Table) -> Table:
    """Return the points minus their mean, so that float32 distances lose less precision."""
    centered_points: Table = points - points.mean(0, dtype=np.float64).astype(np.float32)
    return centered_points


def subsample(indices: Ints, max_count: int, rng: np.random.Generator) -> Ints:
    """Return at most `max_count` of the indices, drawn without replacement, sorted."""
    return indices if len(indices) <= max_count else np.sort(rng.choice(indices, max_count, replace=False))
