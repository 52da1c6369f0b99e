"""Query strategies, and the selection under a budget that each fills: limits on patients and costs, no duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heart2heart.active_learning.pool import Bools, ClipPool, Floats, Ints


@dataclass(frozen=True)
class SelectedClip:
    """One selected clip.

    Attributes:
        index: Index of the clip in the pool.
        score: Score by the strategy's measure; the higher, the earlier or the likelier a clip is selected.
        reason: Reason for a rater; it names no view, so that it suggests none.
        inclusion: Probability that a random draw selects the clip; None where the selection is no random draw.
    """

    index: int
    score: float
    reason: str
    inclusion: float | None = None


class BudgetedSelection:
    """Collects selected clips until the budget is spent or no clip may be selected.

    Args:
        pool: The clips.
        budget: Maximum number of clips.
        per_patient: Maximum number of clips of one patient; None sets no limit.
        spread: Select a second clip of a patient only when every patient has one, and so on.
        spend: Maximum cost of all selected clips, in the unit of `pool.cost`; None sets no limit.

    Attributes:
        open: Whether a clip may still be selected, bool `(n,)`; strategies only read it.
        selected: The selected clips, in order.
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
        """Number of clips left in the budget."""
        return self._budget - len(self.selected)

    def is_full(self) -> bool:
        """Return whether the budget is spent or no clip may be selected."""
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
    """Return the indices of the members of each group, from group 0."""
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
