"""Runs to predictions and metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from heart2heart.api.evaluation import evaluate
from heart2heart.errors import RunError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.metrics_files import read_metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.provenance import read_test_accesses
from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training.run import Run


def test_evaluate_writes_predictions_that_give_its_metrics(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    seen: list[int] = []

    class Kept:
        def update(self, done: int, note: str = "") -> None:
            seen.append(done)

    before = len(read_test_accesses(tiny.split))
    metrics = evaluate(
        [run.path], [tiny.store], tmp_path / "e", command="test", replicates=200, seed=3, probes=True, progress=Kept()
    )
    assert seen == sorted(seen)
    assert seen[-1] == 100
    predictions = Predictions.read(tmp_path / "e" / "predictions.parquet")
    assert predictions.provenance.command == "test"
    assert [site.site for site in predictions.provenance.sites] == ["A", "B"]
    assert evaluate_predictions(predictions, replicates=200, seed=3) == metrics
    assert predictions.provenance.split.checks[-1].name == "test_opened"
    assert [opening.run for opening in read_test_accesses(tiny.split)[before:]] == [run.path.name]
    assert set(predictions.table["role"].to_pylist()) <= set(PredictionRole)
    assert read_metrics(tmp_path / "e" / "metrics.json") == metrics


def test_evaluate_checks_every_run_before_the_first_predicts(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "second")
    record = tmp_path / "second" / "run.json"
    record.write_text(record.read_text().replace(SplitManifest.load(tiny.split).sha256, "0" * 64))
    seen: list[int] = []

    class Kept:
        def update(self, done: int, note: str = "") -> None:
            seen.append(done)

    with pytest.raises(RunError, match="trained on another split") as raised:
        evaluate([run.path, tmp_path / "second"], [tiny.store], tmp_path / "e", command="test", progress=Kept())
    assert str(raised.value.where).endswith("second")
    assert seen == []


def test_evaluate_refuses_a_run_of_another_split(run: Run, tmp_path: Path) -> None:
    other = tiny_store(tmp_path / "other", parts={"train": 2, "validation": 2, "test": 2, "unlabeled": 2})
    with pytest.raises(RunError, match="trained on another split"):
        evaluate([run.path], [other.store], tmp_path / "e", command="test", split=other.split)
    assert not (tmp_path / "e").exists()
