"""Random samples for an audit: clips of random patients, with the probability that each was drawn.

`heart2heart audit-accuracy` estimates the accuracy of a hospital from the labels of such a sample. An audit reads one
clip of as many patients as possible, because clips of a patient are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy
from heart2heart.active_learning.pool import ClipPool, Floats, Ints

_PAPER = "Angelopoulos et al., Science 2023, prediction-powered inference; Cochran, Sampling Techniques, 1977"


def audit_order(patient: Ints, rng: np.random.Generator) -> Ints:
    """Return clips in the order of an audit: a random clip of every patient, then a second one of each, and so on.

    Args:
        patient: Patient of each clip `(n,)`.
        rng: Random generator.

    Returns:
        Positions in `patient`, int64 `(n,)`.
    """
    shuffled = rng.permutation(len(patient))
    order = shuffled[np.argsort(patient[shuffled], kind="stable")]
    starts = np.unique(patient[order], return_index=True)[1]
    rounds = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    return order[np.lexsort((rng.permutation(len(order)), rounds))].astype(np.int64)


def inclusion_probabilities(patient: Ints, number: int) -> Floats:
    """Return the probability that each clip is among the first `number` of `audit_order`.

    Args:
        patient: Patient of each clip `(n,)`.
        number: Drawn clips.

    Examples:
        >>> inclusion_probabilities(np.array([0, 0, 1, 2]), 2).round(3).tolist()  # 2 of 3 patients, 1 of 2 clips
        [0.333, 0.333, 0.667, 0.667]
    """
    _, member, clips = np.unique(patient, return_inverse=True, return_counts=True)
    expected, left, finished = np.zeros(len(clips)), number, 0
    while left > 0 and (clips > finished).any():
        eligible = clips > finished
        expected[eligible] += min(left / eligible.sum(), 1.0)
        left -= int(eligible.sum())
        finished += 1
    return (expected / clips)[member]


def _draw(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator, strata: Sequence[Ints]) -> None:
    """Draw from each stratum in turn until the selection is full, then add the probabilities of inclusion."""
    orders = [clips[audit_order(pool.patient[clips], rng)] for clips in strata]
    length = max((len(order) for order in orders), default=0)
    merged = [int(order[index]) for index in range(length) for order in orders if index < len(order)]
    while not selection.is_full():
        for clip in merged:
            if not selection.is_full() and selection.open[clip]:
                selection.select(clip, 0.0, "drawn at random for an audit")
    drawn = np.array([clip.index for clip in selection.selected], np.int64)
    inclusion = np.zeros(len(pool))
    for clips in strata:
        inclusion[clips] = inclusion_probabilities(pool.patient[clips], int(np.isin(drawn, clips).sum()))
    selection.selected[:] = [replace(clip, inclusion=float(inclusion[clip.index])) for clip in selection.selected]


def select_audit(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Draw patients at random, and one clip of each."""
    _draw(pool, selection, rng, [np.flatnonzero(selection.open)])


def select_audit_by_class(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Draw equally many clips of every predicted class, in each class one clip of random patients."""
    clips = np.flatnonzero(selection.open)
    predicted = pool.table("probabilities")[clips].argmax(1)
    _draw(pool, selection, rng, [clips[predicted == index] for index in np.unique(predicted)])


AUDIT = QueryStrategy("one clip of each of many random patients, for `audit`", _PAPER, frozenset(), select_audit)
AUDIT_BY_CLASS = QueryStrategy(
    "equally many random clips of every predicted view, for `audit`",
    _PAPER,
    frozenset({"probabilities"}),
    select_audit_by_class,
)

AUDITS = ("audit", "audit_by_class")
"""Names of the strategies that draw an audit."""
