"""The checks of a query strategy and of a data set, and random pools of clips."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy, SelectedClip
from heart2heart.active_learning.pool import ClipPool, Table
from heart2heart.datasets.catalogue import CATALOGUE, DatasetInfo
from heart2heart.schema.views import VIEWS

CLASSES = ("PLAX", "PSAX", "A4C", "A2C")
WIDTH = 6
"""Width of the embeddings of a random pool."""


def softmax(logits: Any) -> Table:
    """Return float32 probabilities of logits `(n, classes)`."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True), np.float32)


def random_pool(n: int = 60, *, labeled: int = 12, patients: int = 10, seed: int = 0, **changes: Any) -> ClipPool:
    """Return clips of a random network, the first `labeled` of them labeled with every class in turn.

    Args:
        n: Clips.
        labeled: Labeled clips.
        patients: Patients.
        seed: Of the tables.
        **changes: Other fields of `ClipPool`.
    """
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(0, 1, (n, WIDTH)).astype(np.float32)
    weights = rng.normal(0, 1, (WIDTH, len(CLASSES))).astype(np.float32)
    bias = rng.normal(0, 0.1, len(CLASSES)).astype(np.float32)
    logits = embeddings @ weights + bias
    moved = (softmax(logits + rng.normal(0, 0.5, logits.shape)) for _ in range(3))
    tables = {"probabilities": softmax(logits), "embeddings": embeddings, "weights": weights, "bias": bias,
              **dict(zip(("earlier", "student", "teacher"), moved, strict=True)),
              "vaal": rng.random(n).astype(np.float32)}  # fmt: skip
    is_labeled = np.arange(n) < labeled
    fields: dict[str, Any] = {
        "patient": np.arange(n) % patients, "labeled_mask": is_labeled, "cost": np.ones(n),
        "duplicate_group": np.arange(n), "target": np.where(is_labeled, np.arange(n) % len(CLASSES), -1),
        "classes": CLASSES, "tables": tables,
    }  # fmt: skip
    return ClipPool(**(fields | changes))


def select_clips(
    strategy: QueryStrategy, pool: ClipPool, budget: int, *, seed: int = 0, **limits: Any
) -> list[SelectedClip]:
    """Return the clips that a strategy selects, in order.

    Args:
        strategy: The strategy.
        pool: The clips.
        budget: Most clips to be selected.
        seed: Of the strategy's stream.
        **limits: Other limits of `BudgetedSelection`.
    """
    selection = BudgetedSelection(pool, budget, **limits)
    strategy.select(pool, selection, np.random.default_rng(seed))
    return selection.selected


def check_query_strategy(strategy: QueryStrategy) -> None:
    """Assert that a query strategy keeps every limit, declares its tables, and gives reasons that suggest no view.

    Args:
        strategy: The strategy. It need not be registered.

    Raises:
        AssertionError: the message says what is wrong.

    Examples:
        >>> from heart2heart.active_learning import get_strategy
        >>> check_query_strategy(get_strategy("entropy"))
    """
    rng = np.random.default_rng(5)
    groups = np.where(np.arange(90) % 9 == 0, 0, np.arange(90))
    pool = _declared(strategy, random_pool(90, cost=rng.uniform(0.5, 4, 90), duplicate_group=groups))
    limits: dict[str, Any] = {"per_patient": 3, "spend": 40.0}
    selected = select_clips(strategy, pool, 20, **limits)
    clips = [clip.index for clip in selected]
    assert clips, "no clip is selected"
    assert len(set(clips)) == len(clips) <= 20, "a clip is selected twice, or the budget is exceeded"
    assert not pool.labeled_mask[clips].any(), "a labeled clip is selected"
    assert max(Counter(pool.patient[clips].tolist()).values()) <= 3, "more clips of a patient than allowed"
    assert pool.cost[clips].sum() <= 40, "the clips cost more than may be spent"
    again = [clip.index for clip in select_clips(strategy, pool, 20, **limits)]
    assert again == clips, "the same seed selects other clips: draw from the given generator alone"
    for clip in selected:
        assert clip.reason, "a clip has no reason"
        assert not any(view in clip.reason for view in VIEWS), f"the reason suggests a view to the rater: {clip.reason}"
    small = _declared(strategy, random_pool(20, labeled=8))
    everything = sorted(clip.index for clip in select_clips(strategy, small, 50))
    assert everything == list(range(8, 20)), "not every clip of a small pool is selected: select until it is full"
    if not strategy.needs_labels:
        bare = _declared(strategy, random_pool(20, labeled=0))
        assert len(select_clips(strategy, bare, 5)) == 5, "without labels too few clips are selected: set needs_labels"


def _declared(strategy: QueryStrategy, pool: ClipPool) -> ClipPool:
    """Return the pool with the tables that the strategy declares."""
    tables: Mapping[str, Table] = {name: table for name, table in pool.tables.items() if name in strategy.tables}
    return replace(pool, tables=tables)


def check_dataset(info: DatasetInfo, folder: Path, out: Path, *, size: int = 32) -> None:
    """Assert that a data set can be added to a store, again without change, and from another folder.

    Args:
        info: The data set. It need not be registered.
        folder: A small sample of it, whose files are all good.
        out: An empty folder for stores.
        size: Side of the frames, pixels.

    Raises:
        AssertionError: the message says what is wrong.
    """
    from heart2heart.datasets.add_dataset import add_dataset

    assert info.scan is not None, "the data set has no scan function"
    manifest = info.scan(folder)
    keys = [file.key for file in manifest.files]
    assert keys, "the scan lists no file"
    assert manifest.source == info.name, f"the manifest's source is {manifest.source!r}, not {info.name!r}"
    assert keys == sorted(set(keys)), "keys are not sorted, or not unique"
    for file in manifest.files:
        assert file.view is None or file.view in VIEWS, f"{file.key} has the unknown view {file.view!r}"
        assert file.patient, f"{file.key} has no patient"
        assert file.study, f"{file.key} has no study"
    moved = out / "moved"
    shutil.copytree(folder, moved)
    assert [file.key for file in info.scan(moved).files] == keys, "keys depend on where the folder is"
    with nullcontext() if info.name in CATALOGUE else CATALOGUE.registered(info.name, info):
        report = add_dataset(info.name, folder, out / "store", size=size)
        assert report.accepted == len(keys), f"{report.accepted} of {len(keys)} files became clips: {report.codes}"
        labels = sum(file.view is not None for file in manifest.files)
        assert len(report.labels) == labels, f"{len(report.labels)} labels of {labels}"
        assert add_dataset(info.name, moved, out / "store", size=size).clips == 0, "files are added a second time"
