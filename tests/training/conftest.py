"""The tiny synthetic world, made once."""

from __future__ import annotations

import pytest

from tests.training.tiny_study import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def uncurated(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Half of the pool belongs to no class."""
    return make_world(tmp_path_factory.mktemp("uncurated"), aliens=4)
