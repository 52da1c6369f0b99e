"""One run on the tiny synthetic store."""

from __future__ import annotations

import pytest

from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training.run import Run
from heart2heart.training.train import train


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="package")
def run(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny.config(steps=6), tmp_path_factory.mktemp("runs") / "one")
