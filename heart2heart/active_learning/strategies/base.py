"""The definition of a query strategy, and the random baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.pool import ClipPool

SelectFunction = Callable[[ClipPool, BudgetedSelection, np.random.Generator], None]
"""Selects clips until the selection is full."""


@dataclass(frozen=True)
class QueryStrategy:
    """One query strategy.

    Attributes:
        description: The clips that it selects, one line.
        paper: Publication.
        tables: Names of `pool.TABLES`.
        select: The selection function.
        needs_labels: Whether it needs clips that are labeled with a class.
    """

    description: str
    paper: str
    tables: frozenset[str]
    select: SelectFunction
    needs_labels: bool = False


def select_random(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select clips in random order, whatever their cost."""
    order = rng.permutation(len(pool))
    while not selection.is_full():
        for index in order[selection.open[order]].tolist():
            if selection.open[index] and not selection.is_full():
                selection.select(index, 0.0, "drawn at random")


RANDOM = QueryStrategy("clips drawn at random", "the baseline of every study", frozenset(), select_random)
