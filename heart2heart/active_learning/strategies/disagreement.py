"""Disagreement of two states of one network: TOD (two moments of training) and ST-CoNAL (student and teacher).

With the run of the labeling round before (`--earlier`), the moments of TOD are those of the paper; without one they are
the run's selected averaged weights and its raw weights at the last step. For ST-CoNAL the student is the run's raw
weights at the last step and the teacher is the running average of the weights.
"""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, select_top
from heart2heart.active_learning.pool import ClipPool, Floats, Table
from heart2heart.active_learning.strategies.base import QueryStrategy


def select_tod(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick by the Euclidean distance of the two moments' probabilities."""
    moved = pool.table("probabilities").astype(np.float64) - pool.table("earlier")
    scores = np.linalg.norm(moved, axis=1)
    select_top(pool, shortlist, scores, lambda place: f"the answer moved while training: by {scores[place]:.2f}")


TOD = QueryStrategy(
    "largest change of the output between two moments of training (TOD)",
    "Huang et al., ICCV 2021, arXiv 2107.14153",
    frozenset({"probabilities", "earlier"}),
    select_tod,
)


TEMPERATURE = 0.7
"""Sharpens the teacher's probabilities, p^(1/T), made to sum to 1."""
_LEAST = 1e-12


def divergence(teacher: Table, student: Table) -> Floats:
    """Return KL(sharpened teacher || student) in nats, `(n,)`, of probabilities `(n, classes)`."""
    powered = np.maximum(teacher.astype(np.float64), _LEAST) ** (1 / TEMPERATURE)
    sharp = powered / powered.sum(1, keepdims=True)
    apart = np.log(sharp) - np.log(np.maximum(student.astype(np.float64), _LEAST))
    found: Floats = (sharp * apart).sum(1)
    return np.maximum(found, 0)


def select_st_conal(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick by divergence."""
    scores = divergence(pool.table("teacher"), pool.table("student"))
    select_top(pool, shortlist, scores, lambda place: f"student and teacher disagree: {scores[place]:.3f} nats")


ST_CONAL = QueryStrategy(
    "most disagreement of the network with its running average (ST-CoNAL)",
    "Baik, Yoon and Choi, ACCV 2022, arXiv 2207.02182",
    frozenset({"student", "teacher"}),
    select_st_conal,
)
