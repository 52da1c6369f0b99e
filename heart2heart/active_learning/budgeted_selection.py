"""What was picked so far, and what may still be: the budget, patients, costs and repeats, the same for every method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heart2heart.active_learning.pool import Bools, ClipPool, Floats, Ints


@dataclass(frozen=True)
class SelectedClip:
    """One clip to be asked for.

    Attributes:
        index: Its row in the pool.
        score: The method's own measure; higher came first, or was drawn more easily.
        reason: The reason, for a rater: it names no view, so that it suggests none.
    """

    index: int
    score: float
    reason: str


class BudgetedSelection:
    """Takes picks until the budget is spent or nothing may be picked any more.

    Args:
        pool: The clips.
        budget: Most clips to be picked.
        per_patient: Most clips of one patient; None sets no limit.
        spread: Take a second clip of a patient only when every patient has one, and so on.
        spend: Most that the picks may cost together, in the unit of `pool.cost`; None sets no limit.

    Attributes:
        open: Which clips may still be picked, bool `(n,)`; a method reads it and never writes it.
        selected: In the order of picking.
    """

    def __init__(
        self,
        pool: ClipPool,
        budget: int,
        *,
        per_patient: int | None = None,
        spread: bool = False,
        spend: float | None = None,
    ) -> None:
        self._pool, self._budget, self._left = pool, budget, spend
        self._most, self._spread = per_patient, spread
        self._limit = 1 if spread else per_patient
        self._of_patient = np.zeros(int(pool.patient.max(initial=-1)) + 1, np.int64)
        self._patients, self._pictures = _members(pool.patient), _members(pool.duplicate_group)
        self._gone = np.isin(pool.duplicate_group, pool.duplicate_group[pool.labeled_mask])
        self.selected: list[SelectedClip] = []
        self.open: Bools = np.empty(0, bool)
        self._reopen()

    @property
    def remaining(self) -> int:
        """How many more clips the budget has room for."""
        return self._budget - len(self.selected)

    def is_full(self) -> bool:
        """Whether nothing more is to be picked."""
        return self.remaining <= 0 or not self.open.any()

    def select(self, place: int, score: float, why: str) -> None:
        """Pick a clip that is open; it, its repeats and what no longer fits close."""
        assert self.open[place]
        assert not self.is_full()
        self.selected.append(SelectedClip(place, float(score), why))
        patient = self._pool.patient[place]
        self._of_patient[patient] += 1
        self._gone[self._pictures[self._pool.duplicate_group[place]]] = True
        self.open[self._pictures[self._pool.duplicate_group[place]]] = False
        if self._limit is not None and self._of_patient[patient] >= self._limit:
            self.open[self._patients[patient]] = False
        if self._left is not None:
            self._left -= float(self._pool.cost[place])
            self.open &= self._pool.cost <= self._left
        while self._spread and not self.open.any() and self._raise_limit():
            self._reopen()

    def _raise_limit(self) -> bool:
        assert self._limit is not None
        if self._limit == self._most or self._limit >= len(self._pool):
            return False
        self._limit += 1
        return True

    def _reopen(self) -> None:
        self.open = ~self._gone
        if self._limit is not None:
            self.open &= self._of_patient[self._pool.patient] < self._limit
        if self._left is not None:
            self.open &= self._pool.cost <= self._left


def _members(number: Ints) -> list[Ints]:
    """Return, for each number from 0, the places that hold it."""
    order = np.argsort(number, kind="stable")
    counts = np.bincount(number) if len(number) else np.zeros(0, np.int64)
    return np.split(order, np.cumsum(counts)[:-1]) if len(counts) else []


def select_top(pool: ClipPool, shortlist: BudgetedSelection, scores: Floats, why: Callable[[int], str]) -> None:
    """Pick by the score for what a clip costs, highest first; of equals the first in the pool.

    Score over cost is the rule of Settles, Craven and Friedland (2008, "Active learning with real annotation costs").

    Args:
        pool: The clips.
        shortlist: Takes the picks.
        scores: Not negative, `(n,)`.
        why: Gives the reason of a place.
    """
    order = np.argsort(-scores / pool.cost, kind="stable")
    while not shortlist.is_full():  # once, and again where the limit of a patient was raised
        for place in order[shortlist.open[order]].tolist():
            if shortlist.is_full():
                break
            if shortlist.open[place]:
                shortlist.select(place, float(scores[place]), why(place))
