"""One run on the tiny synthetic store, and its validation at a hospital that joined later."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.api.validation import validate
from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training.run import Run
from heart2heart.training.train import train
from tests.api.new_hospital import NewHospital, new_hospital


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="package")
def run(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny.config(steps=6), tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="package")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> NewHospital:
    return new_hospital(tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="package")
def validated(run: Run, hospital: NewHospital, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("validated") / "v"
    validate(run, out, store=hospital.store, labels=hospital.labels, replicates=200)
    return out
