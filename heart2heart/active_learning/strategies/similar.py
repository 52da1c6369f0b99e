"""SIMILAR: clips like those labeled with rare views, by submodular mutual information (FLQMI).

The function of a set A of clips and queries Q, with similarities s between 0 and 1, is

    f(A) = sum over q of max over a of s(q, a)  +  ETA x sum over a of max over q of s(q, a):

every query is to have a like clip, and every clip a like query. It is submodular, so the greedy choice is near the
best, and a gain that was computed earlier bounds today's from above: few are computed anew (Minoux 1978).
"""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.distances import subsample
from heart2heart.active_learning.pool import Bools, ClipPool, Floats, Ints, Table
from heart2heart.active_learning.strategies.base import QueryStrategy
from heart2heart.errors import ConfigError

ETA = 1.0
"""Weight of the clips' likeness to the queries beside the queries' being covered."""
MAX_QUERIES = 200
"""Labeled clips of rare views that are looked at, drawn at random where there are more."""

_FIRST, _MOST = 1024, 65_536  # clips whose gain is computed at a time


def rare_classes(pool: ClipPool) -> Ints:
    """Return the classes that are looked for: those named, or else those with fewer labels than their equal share."""
    if pool.rare:
        return np.array(pool.rare, np.int64)
    counts = np.bincount(pool.target[pool.labeled], minlength=len(pool.classes))
    present = counts > 0
    fewer = present & (counts < counts.sum() / len(counts))
    return np.flatnonzero(fewer) if fewer.any() else np.flatnonzero(present)


def similarities(points: Table, queries: Table) -> Table:
    """Return (1 + cosine) / 2 of each point `(n, d)` and query `(m, d)`, `(n, m)`."""
    ones, others = (each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12) for each in (points, queries))
    found: Table = np.clip((1 + ones @ others.T) / 2, 0, 1, dtype=np.float32)
    return found


def select_similar(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick greedily by the gain of f for what a clip costs.

    Raises:
        ConfigError: no clip is labeled with any of the rare views.
    """
    rare = rare_classes(pool)
    queries = pool.labeled[np.isin(pool.target[pool.labeled], rare)]
    if not len(queries):
        names = ", ".join(pool.classes[number] for number in rare)
        raise ConfigError(f"no clip is labeled {names} yet", remedy="Label some first, e.g. by --by typiclust")
    queries = subsample(queries, MAX_QUERIES, rng)
    embeddings = pool.table("embeddings")
    like = similarities(embeddings, embeddings[queries])
    own = like.max(1)
    best = np.zeros(len(queries), np.float32)
    bounds = (like.sum(1, dtype=np.float64) + ETA * own) / pool.cost
    while not shortlist.is_full():
        place = _largest(shortlist.open, bounds, like, best, own, pool)
        gain = float(bounds[place] * pool.cost[place])
        shortlist.select(place, gain, f"like a clip labeled with a rare view: similarity {own[place]:.2f} of 1")
        np.maximum(best, like[place], out=best)


def _largest(open_: Bools, bounds: Floats, like: Table, best: Table, own: Table, pool: ClipPool) -> int:
    """Return the open clip of the largest gain for its cost; `bounds` become today's gains where they are computed.

    Clips are computed anew from the highest bound down, more at a time, until no bound is above the largest gain.
    """
    stale, place, size = open_.copy(), -1, _FIRST
    while True:
        above = np.flatnonzero(stale if place < 0 else stale & (bounds > bounds[place]))
        if not len(above):
            return place
        if len(above) > size:
            above = above[np.argpartition(-bounds[above], size)[:size]]
        gains = np.maximum(like[above] - best, 0).sum(1, dtype=np.float64) + ETA * own[above]
        bounds[above] = gains / pool.cost[above]
        stale[above] = False
        first = int(above[np.argmax(bounds[above])])
        if place < 0 or bounds[first] > bounds[place]:
            place = first
        size = min(2 * size, _MOST)


SIMILAR = QueryStrategy(
    "clips like those labeled with rare views (submodular mutual information)",
    "Kothawade et al., SIMILAR, NeurIPS 2021, arXiv 2107.00717",
    frozenset({"embeddings"}),
    select_similar,
    needs_labels=True,
)
