"""Pools of synthetic clips, made of numbers alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, SelectedClip
from heart2heart.active_learning.pool import ClipPool, Table
from heart2heart.active_learning.strategies import STRATEGIES, get_strategy

CLASSES = ("PLAX", "PSAX", "A4C", "A2C")
WIDTH = 6


def softmax(logits: Any) -> Table:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)


def make_pool(n: int = 60, *, labeled: int = 12, patients: int = 10, seed: int = 0, **changes: Any) -> ClipPool:
    """Return clips of a random network, the first `labeled` of them labeled with every class in turn."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(0, 1, (n, WIDTH)).astype(np.float32)
    weights = rng.normal(0, 1, (WIDTH, len(CLASSES))).astype(np.float32)
    bias = rng.normal(0, 0.1, len(CLASSES)).astype(np.float32)
    logits = embeddings @ weights + bias
    moved = (softmax(logits + rng.normal(0, 0.5, logits.shape)) for _ in range(3))
    tables = {"probabilities": softmax(logits), "embeddings": embeddings, "weights": weights, "bias": bias,
              **dict(zip(("earlier", "student", "teacher"), moved, strict=True)),
              "vaal": rng.random(n).astype(np.float32)}  # fmt: skip
    asked = np.arange(n) < labeled
    made: dict[str, Any] = {
        "patient": np.arange(n) % patients, "labeled_mask": asked, "cost": np.ones(n), "duplicate_group": np.arange(n),
        "target": np.where(asked, np.arange(n) % len(CLASSES), -1), "classes": CLASSES, "tables": tables,
    }  # fmt: skip
    return ClipPool(**(made | changes))


def picked(by: str, pool: ClipPool, budget: int, *, seed: int = 0, **limits: Any) -> list[SelectedClip]:
    shortlist = BudgetedSelection(pool, budget, **limits)
    get_strategy(by).select(pool, shortlist, np.random.default_rng(seed))
    return shortlist.selected


def places(picks: list[SelectedClip]) -> list[int]:
    return [pick.index for pick in picks]


NAMES = list(STRATEGIES)
