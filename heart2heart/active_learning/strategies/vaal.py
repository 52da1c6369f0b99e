"""VAAL: clips that an adversary tells from the labeled ones.

The paper's variational autoencoder reads pixels; here it reads the run's embeddings, which takes seconds instead of
hours. `heart2heart.training.vaal` trains it: it needs torch, which this room never loads.
"""

from __future__ import annotations

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, select_top
from heart2heart.active_learning.pool import ClipPool
from heart2heart.active_learning.strategies.base import QueryStrategy


def select_vaal(pool: ClipPool, shortlist: BudgetedSelection, rng: np.random.Generator) -> None:
    """Pick by the adversary's belief that a clip is not labeled."""
    scores = pool.table("vaal").astype(np.float64)
    select_top(pool, shortlist, scores, lambda place: f"unlike the labeled clips: {scores[place]:.2f} of 1")


VAAL = QueryStrategy(
    "clips that an adversary tells from the labeled ones (VAAL, on embeddings)",
    "Sinha, Ebrahimi and Darrell, ICCV 2019, arXiv 1904.00370",
    frozenset({"vaal"}),
    select_vaal,
    needs_labels=True,
)
