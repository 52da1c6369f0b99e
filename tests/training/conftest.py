"""The tiny synthetic store, made once."""

from __future__ import annotations

import pytest

from heart2heart.testing.tiny import TinyStore, tiny_store
from tests.training.adaptation_study import AdaptationStudy, adaptation_study


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def uncurated(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    """Half of the pool belongs to no class."""
    return tiny_store(tmp_path_factory.mktemp("uncurated"), aliens=4)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> AdaptationStudy:
    """Two hospitals, one of them with patients who may adapt; made anew for each module, which may add to it."""
    return adaptation_study(tmp_path_factory.mktemp("study"))
