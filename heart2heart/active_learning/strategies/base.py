"""What a query strategy is: a description, a paper, the tables that it needs and how it selects; and the random baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.pool import ClipPool

SelectFunction = Callable[[ClipPool, BudgetedSelection, np.random.Generator], None]
"""Gives picks to the shortlist until it is full."""


@dataclass(frozen=True)
class QueryStrategy:
    """One way to choose.

    Attributes:
        description: What it picks, one line.
        paper: Where it was published.
        tables: Names of `pool.TABLES`.
        select: How it picks.
        needs_labels: Whether it needs clips that are labeled with a class.
    """

    description: str
    paper: str
    tables: frozenset[str]
    select: SelectFunction
    needs_labels: bool = False


def select_random(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick clips in an order drawn at random; what they cost does not matter."""
    order = rng.permutation(len(pool))
    while not shortlist.is_full():
        for place in order[shortlist.open[order]].tolist():
            if shortlist.open[place] and not shortlist.is_full():
                shortlist.select(place, 0.0, "drawn at random")


RANDOM = QueryStrategy("clips drawn at random", "the baseline of every study", frozenset(), select_random)
