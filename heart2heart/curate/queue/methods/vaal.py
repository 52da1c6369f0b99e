"""VAAL: clips that an adversary tells from the labeled ones.

The paper's variational autoencoder reads pixels; here it reads the run's embeddings, which takes seconds instead of
hours. `heart2heart.learn.adversary` trains it: it needs torch, which this room never loads.
"""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Pool
from heart2heart.curate.queue.shortlist import Shortlist, take_best


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by the adversary's belief that a clip is not labeled."""
    scores = pool.table("unlike").astype(np.float64)
    take_best(pool, shortlist, scores, lambda place: f"unlike the labeled clips: {scores[place]:.2f} of 1")


METHOD = Method(
    "clips that an adversary tells from the labeled ones (VAAL, on embeddings)",
    "Sinha, Ebrahimi and Darrell, ICCV 2019, arXiv 1904.00370",
    frozenset({"unlike"}),
    pick,
    labels=True,
)
