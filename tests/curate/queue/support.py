"""Pools of synthetic clips, made of numbers alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from heart2heart.curate.queue import METHODS, Pick, Pool, Shortlist, get_method
from heart2heart.curate.queue.pool import Table

CLASSES = ("PLAX", "PSAX", "A4C", "A2C")
WIDTH = 6


def softmax(logits: Any) -> Table:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)


def make_pool(n: int = 60, *, labeled: int = 12, patients: int = 10, seed: int = 0, **changes: Any) -> Pool:
    """Return clips of a random network, the first `labeled` of them labeled with every class in turn."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(0, 1, (n, WIDTH)).astype(np.float32)
    weights = rng.normal(0, 1, (WIDTH, len(CLASSES))).astype(np.float32)
    bias = rng.normal(0, 0.1, len(CLASSES)).astype(np.float32)
    logits = embeddings @ weights + bias
    moved = (softmax(logits + rng.normal(0, 0.5, logits.shape)) for _ in range(3))
    tables = {"probabilities": softmax(logits), "embeddings": embeddings, "weights": weights, "bias": bias,
              **dict(zip(("earlier", "student", "teacher"), moved, strict=True)),
              "unlike": rng.random(n).astype(np.float32)}  # fmt: skip
    asked = np.arange(n) < labeled
    made: dict[str, Any] = {
        "patient": np.arange(n) % patients, "asked": asked, "cost": np.ones(n), "picture": np.arange(n),
        "target": np.where(asked, np.arange(n) % len(CLASSES), -1), "classes": CLASSES, "tables": tables,
    }  # fmt: skip
    return Pool(**(made | changes))


def picked(by: str, pool: Pool, budget: int, *, seed: int = 0, **limits: Any) -> list[Pick]:
    shortlist = Shortlist(pool, budget, **limits)
    get_method(by).pick(pool, shortlist, np.random.default_rng(seed))
    return shortlist.picks


def places(picks: list[Pick]) -> list[int]:
    return [pick.place for pick in picks]


NAMES = list(METHODS)
