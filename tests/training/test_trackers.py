"""TensorBoard and MLflow are told what `metrics.jsonl` says, once, and on this disk alone."""

from __future__ import annotations

import json
import os
import sqlite3
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import MissingInputError
from heart2heart.testing.runs import StopAt, StoppedError
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import trackers
from heart2heart.training.config import TrainConfig
from heart2heart.training.train import train


def need(package: str) -> None:
    """Skip where an extra is not installed; where everything has to be tested (CI) fail."""
    if find_spec(package) is None:
        assert "CI" not in os.environ, f"{package} is not installed"
        pytest.skip(f"{package} is not installed")


def stopped_and_resumed(config: TrainConfig, path: Path) -> list[dict[str, float]]:
    """Return the lines of a run that died between two checkpoints and went on."""
    with pytest.raises(StoppedError):
        train(config, path, progress=StopAt(6))
    train(config, path)
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_holds_every_line_once(tiny: TinyStore, tmp_path: Path) -> None:
    need("tensorboard")
    lines = stopped_and_resumed(tiny.config(trackers=["tensorboard"], steps=8), tmp_path / "run")
    reader = import_module("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    events = reader(str(tmp_path / "run" / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {name for line in lines for name in line} - {"step"}
    for name in events.Tags()["scalars"]:
        read = [(event.step, event.value) for event in events.Scalars(name)]
        assert read == [(line["step"], pytest.approx(line[name])) for line in lines if name in line]


def test_mlflow_holds_every_line_once_and_no_path(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # must not be asked
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "shared.db"
    lines = stopped_and_resumed(tiny.config(trackers=["mlflow"], mlflow_file=str(file), steps=8), tmp_path / "run")
    train(tiny.config(trackers=["mlflow"], mlflow_file=str(file), steps=1), tmp_path / "other")
    with sqlite3.connect(file) as book:

        def ask(query: str) -> list[Any]:
            return book.execute(query).fetchall()

        assert ask("SELECT name, status FROM runs ORDER BY start_time") == [("run", "FINISHED"), ("other", "FINISHED")]
        run = ask("SELECT run_uuid FROM runs WHERE name = 'run'")[0][0]
        for name in ("loss_labeled", "validation_balanced_accuracy"):
            read = ask(f"SELECT step, value FROM metrics WHERE run_uuid = '{run}' AND key = '{name}' ORDER BY step")
            assert read == [(line["step"], pytest.approx(line[name])) for line in lines if name in line]
        params = dict(ask(f"SELECT key, value FROM params WHERE run_uuid = '{run}'"))
        assert params["optimiser.lr"] == "0.05"
        assert not [key for key, value in params.items() if key.startswith("data.") or str(tmp_path) in value]
    book.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "run", "shared.db"]


def test_train_names_a_tracker_that_is_not_installed_before_it_makes_a_folder(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(MissingInputError, match=r"mlflow is not installed.*heart2heart\[mlflow\]"):
        train(tiny.config(trackers=["mlflow"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()
