"""A run with a scope, trained once for the tests of the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.testing.tiny import tiny_store
from heart2heart.training.train import train


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that answers every clip in scope."""
    from heart2heart.api.scope import fit_scope

    tiny = tiny_store(tmp_path_factory.mktemp("tiny"))
    run = train(tiny.config(steps=24, evaluate_every=24), tmp_path_factory.mktemp("runs") / "views")
    # By neighbours: three patients are too few for the spread of features, which Mahalanobis distances need.
    fit_scope(run.path, None, coverage=0.5, keep=0.95, score="knn")
    return run.path
