"""Coverage of the embeddings: core-set (k-center greedy) and TypiClust (the most typical clip of each cluster).

Both need squared Euclidean distances. They are computed in float32, by blocks of matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy
from heart2heart.active_learning.pool import ClipPool, Floats, Ints, Table

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


def select_core_set(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select by distance over cost; where nothing is labeled, first the clip nearest to the mean.

    The time is proportional to the number of clips times the number of selected clips.
    """
    points = centered(pool.table("embeddings"))
    lengths = squared_norms(points)
    distances = nearest(points, points[pool.labeled_mask])
    while not selection.is_full():
        if np.isinf(distances[0]):
            index = int(np.argmin(np.where(selection.open, lengths, np.inf)))
            selection.select(index, float("inf"), "the most central clip: nothing is labeled yet")
        else:
            index = int(np.argmax(np.where(selection.open, np.sqrt(distances) / pool.cost, -1)))
            gap = float(np.sqrt(distances[index]))
            selection.select(index, gap, f"far from every clip labeled or selected: {gap:.2f}")
        np.minimum(distances, squared_distances_to(points, lengths, index), out=distances)


CORE_SET = QueryStrategy(
    "clips far from all labeled or selected clips (k-center greedy)",
    "Sener and Savarese, ICLR 2018, arXiv 1708.00489",
    frozenset({"embeddings"}),
    select_core_set,
)


NEIGHBOURS = 20
"""Number of neighbours whose mean distance measures how typical a clip is."""
MAX_CLUSTERS = 500
MIN_CLUSTER_SIZE = 5
"""Clusters below this size come last: their clips are outliers."""
_MAX_FITTED = 20_000  # clips that the clusters are fitted on
_MAX_EXACT_CLUSTERS = 50  # with more clusters k-means works by batches, as in the authors' code


def cluster(points: Table, count: int, rng: np.random.Generator) -> Ints:
    """Return the cluster of each point `(n, d)` by k-means, int64 `(n,)`; fewer clusters where fewer points differ."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    fitted = points[subsample(np.arange(len(points)), max(_MAX_FITTED, 10 * count), rng)]
    count = min(count, len(np.unique(fitted, axis=0)))
    estimator_class = KMeans if count <= _MAX_EXACT_CLUSTERS else MiniBatchKMeans
    options = {} if estimator_class is KMeans else {"batch_size": 1024}
    model = estimator_class(n_clusters=count, n_init=1, random_state=int(rng.integers(2**31)), **options).fit(fitted)
    centres = model.cluster_centers_.astype(np.float32)
    clusters = np.empty(len(points), np.int64)
    for rows, distances in distance_blocks(points, centres):
        clusters[rows] = distances.argmin(1)
    return clusters


def typicality(points: Table) -> Floats:
    """Return one over the mean distance to the nearest `NEIGHBOURS` of the same cluster, `(n,)`; 1 for a lone point."""
    count = min(NEIGHBOURS, len(points) - 1)
    if count < 1:
        return np.ones(len(points))
    mean_distances = np.empty(len(points))
    for rows, distances in distance_blocks(points, points):
        distances[np.arange(len(distances)), np.arange(len(points))[rows]] = 0
        near = np.partition(distances, count, axis=1)[:, : count + 1]
        mean_distances[rows] = np.sqrt(near).sum(1) / count
    return np.asarray(1 / (mean_distances + 1e-7), np.float64)


def select_typiclust(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select the most typical clip for its cost from the cluster with the fewest labels, of these the largest."""
    points = centered(pool.table("embeddings"))
    count = min(int(pool.labeled_mask.sum()) + selection.remaining, MAX_CLUSTERS)
    member = cluster(points, count, rng)
    sizes = np.bincount(member, minlength=count)
    covered = np.bincount(member[pool.labeled_mask], minlength=count)
    order: dict[int, list[int]] = {}
    typical = np.zeros(len(pool))
    while not selection.is_full():
        has_open = np.bincount(member[selection.open], minlength=count) > 0
        chosen = int(np.lexsort((-sizes, covered, sizes < MIN_CLUSTER_SIZE, ~has_open))[0])
        if chosen not in order:
            cluster_clips = np.flatnonzero(member == chosen)
            typical[cluster_clips] = typicality(points[cluster_clips])
            order[chosen] = cluster_clips[
                np.argsort(-typical[cluster_clips] / pool.cost[cluster_clips], kind="stable")
            ].tolist()
        index = next(index for index in order[chosen] if selection.open[index])
        reason = f"typical of {sizes[chosen]} clips that look alike, {covered[chosen]} of them labeled or selected"
        selection.select(index, float(typical[index]), reason)
        covered[chosen] += 1


TYPICLUST = QueryStrategy(
    "the most typical clip of each cluster without a label",
    "Hacohen, Dekel and Weinshall, ICML 2022, arXiv 2202.02794",
    frozenset({"embeddings"}),
    select_typiclust,
)
