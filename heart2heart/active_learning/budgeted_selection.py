"""Selection under a budget: limits on patients and costs, and duplicates left out, the same for every strategy."""

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
    """Collects selected clips until the budget is spent or no clip may be selected.

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

    def select(self, index: int, score: float, reason: str) -> None:
        """Select an open clip; close it, its duplicates, and clips that exceed a limit."""
        assert self.open[index]
        assert not self.is_full()
        self.selected.append(SelectedClip(index, float(score), reason))
        patient = self._pool.patient[index]
        self._of_patient[patient] += 1
        self._gone[self._pictures[self._pool.duplicate_group[index]]] = True
        self.open[self._pictures[self._pool.duplicate_group[index]]] = False
        if self._limit is not None and self._of_patient[patient] >= self._limit:
            self.open[self._patients[patient]] = False
        if self._left is not None:
            self._left -= float(self._pool.cost[index])
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


def _members(group: Ints) -> list[Ints]:
    """Return, for each number from 0, the places that hold it."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group) if len(group) else np.zeros(0, np.int64)
    return np.split(order, np.cumsum(counts)[:-1]) if len(counts) else []


def select_top(pool: ClipPool, selection: BudgetedSelection, scores: Floats, reason: Callable[[int], str]) -> None:
    """Select clips by score over cost, highest first; of equal clips the first in the pool.

    Score over cost is the rule of Settles, Craven and Friedland (2008, "Active learning with real annotation costs").

    Args:
        pool: The clips.
        selection: Receives the selected clips.
        scores: Not negative, `(n,)`.
        reason: Returns the reason for a clip.
    """
    order = np.argsort(-scores / pool.cost, kind="stable")
    while not selection.is_full():  # once, and again where the limit of a patient was raised
        for index in order[selection.open[order]].tolist():
            if selection.is_full():
                break
            if selection.open[index]:
                selection.select(index, float(scores[index]), reason(index))
