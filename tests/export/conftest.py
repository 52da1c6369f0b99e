"""One run on the tiny synthetic store, for every test of this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training.run import Run
from heart2heart.training.train import train


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"), parts={"train": 2, "validation": 2})


@pytest.fixture(scope="package")
def run(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny.config(steps=6), tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="package")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model without a signature."""
    from heart2heart.export.frames import split_frames
    from heart2heart.export.model_folder import write_model_folder

    return write_model_folder(run, tmp_path_factory.mktemp("folder") / "echo", frames=split_frames(run))
