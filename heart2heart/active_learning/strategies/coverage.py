"""Coverage of the embeddings: core-set (k-center greedy) and TypiClust (the most typical clip of each cluster)."""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy
from heart2heart.active_learning.distances import (
    centered,
    distance_blocks,
    nearest,
    squared_distances_to,
    squared_norms,
    subsample,
)
from heart2heart.active_learning.pool import ClipPool, Floats, Ints, Table


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
