"""TOD: how far the output for a clip moved between two moments of training; it moves most where the loss is large.

With the run of the labeling round before (`--earlier`), the two moments are those of the paper. Without one they are
the run's selected averaged weights, which lag behind, and its raw weights at the last step.
"""

from __future__ import annotations

import numpy as np

from heart2heart.curate.queue.methods.base import Method
from heart2heart.curate.queue.pool import Pool
from heart2heart.curate.queue.shortlist import Shortlist, take_best


def pick(pool: Pool, shortlist: Shortlist, rng: np.random.Generator) -> None:
    """Pick by the Euclidean distance of the two moments' probabilities."""
    moved = pool.table("probabilities").astype(np.float64) - pool.table("earlier")
    scores = np.linalg.norm(moved, axis=1)
    take_best(pool, shortlist, scores, lambda place: f"the answer moved while training: by {scores[place]:.2f}")


METHOD = Method(
    "largest change of the output between two moments of training (TOD)",
    "Huang et al., ICCV 2021, arXiv 2107.14153",
    frozenset({"probabilities", "earlier"}),
    pick,
)
