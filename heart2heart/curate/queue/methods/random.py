"""Every clip with the same chance: what every other method is held against."""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Pool
from heart2heart.curate.queue.shortlist import Shortlist


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick clips in an order drawn at random; what they cost does not matter."""
    order = rng.permutation(len(pool))
    while not shortlist.is_full():
        for place in order[shortlist.open[order]].tolist():
            if shortlist.open[place] and not shortlist.is_full():
                shortlist.take(place, 0.0, "drawn at random")


METHOD = Method("clips drawn at random", "the baseline of every study", frozenset(), pick)
