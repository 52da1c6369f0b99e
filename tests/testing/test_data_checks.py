"""The checks of query strategies and data sets: ours pass, and each fault that they look for is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.pool import ClipPool
from heart2heart.active_learning.strategies import STRATEGIES, QueryStrategy
from heart2heart.datasets import unity
from heart2heart.datasets.catalogue import CATALOGUE, DatasetInfo
from heart2heart.datasets.manifest import DatasetManifest
from heart2heart.errors import ConfigError
from heart2heart.testing import check_dataset, check_query_strategy
from tests.datasets import miniature


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_check_query_strategy_passes_every_strategy(name: str) -> None:
    check_query_strategy(STRATEGIES[name])


def select_one(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    selection.select(int(np.flatnonzero(selection.open)[0]), 0.0, "the first")


def select_undeclared(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    pool.table("embeddings")


def select_by_view(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    while not selection.is_full():
        selection.select(int(np.flatnonzero(selection.open)[0]), 0.0, "looks like PLAX")


def test_check_query_strategy_finds_faults() -> None:
    bare = QueryStrategy("the first clip", "none", frozenset(), select_one)
    with pytest.raises(AssertionError, match="select until it is full"):
        check_query_strategy(bare)
    with pytest.raises(AssertionError, match="the reason suggests a view to the rater: looks like PLAX"):
        check_query_strategy(replace(bare, select=select_by_view))
    with pytest.raises(ConfigError, match="needs the embeddings"):
        check_query_strategy(replace(bare, select=select_undeclared))


def scan_as(source: str) -> DatasetInfo:
    def scan(folder: Path) -> DatasetManifest:
        return replace(unity.scan(folder), source=source)

    return replace(CATALOGUE["unity"], name="others", scan=scan)


def test_check_dataset_passes_anothers_data_set(tmp_path: Path) -> None:
    folder = miniature.unity(tmp_path / "in")
    check_dataset(scan_as("others"), folder, tmp_path)
    assert "others" not in CATALOGUE


def test_check_dataset_finds_another_source(tmp_path: Path) -> None:
    folder = miniature.unity(tmp_path / "in")
    with pytest.raises(AssertionError, match="source is 'unity', not 'others'"):
        check_dataset(scan_as("unity"), folder, tmp_path)
