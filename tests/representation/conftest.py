"""The tiny synthetic store, made once."""

from __future__ import annotations

import pytest

from heart2heart.testing.tiny import TinyStore, tiny_store


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))
