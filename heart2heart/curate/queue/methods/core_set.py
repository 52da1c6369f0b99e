"""Core-set: the clip farthest from all that is labeled or picked, again and again (k-center greedy)."""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.distances import centred, nearest, squares, to_one
from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Pool
from heart2heart.curate.queue.shortlist import Shortlist


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by distance for its cost, in time n x picks; with nothing labeled, first the clip nearest the mean."""
    points = centred(pool.table("embeddings"))
    lengths = squares(points)
    apart = nearest(points, points[pool.asked])
    while not shortlist.is_full():
        if np.isinf(apart[0]):
            place = int(np.argmin(np.where(shortlist.open, lengths, np.inf)))
            shortlist.take(place, float("inf"), "the most central clip: nothing is labeled yet")
        else:
            place = int(np.argmax(np.where(shortlist.open, np.sqrt(apart) / pool.cost, -1)))
            gap = float(np.sqrt(apart[place]))
            shortlist.take(place, gap, f"far from every clip labeled or picked: {gap:.2f}")
        np.minimum(apart, to_one(points, lengths, place), out=apart)


METHOD = Method(
    "clips far from all that is labeled or picked (k-center greedy)",
    "Sener and Savarese, ICLR 2018, arXiv 1708.00489",
    frozenset({"embeddings"}),
    pick,
)
