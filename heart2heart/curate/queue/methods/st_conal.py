"""ST-CoNAL: where the student departs from its teacher.

The paper's students are snapshots of the last epochs and the teacher averages their weights. A run keeps one snapshot,
its raw weights at the last step, and the running average of the weights, which serves as the teacher.
"""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Floats, Pool, Table
from heart2heart.curate.queue.shortlist import Shortlist, take_best

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


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by divergence."""
    scores = divergence(pool.table("teacher"), pool.table("student"))
    take_best(pool, shortlist, scores, lambda place: f"student and teacher disagree: {scores[place]:.3f} nats")


METHOD = Method(
    "most disagreement of the network with its running average (ST-CoNAL)",
    "Baik, Yoon and Choi, ACCV 2022, arXiv 2207.02182",
    frozenset({"student", "teacher"}),
    pick,
)
