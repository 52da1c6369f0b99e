"""The learning curve in miniature: hospitals, splits with budgets, and a study that is continued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heart2heart.splits.manifest import SplitManifest
from pipelines.learning_curve import main


def test_main_trains_with_each_budget_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def study() -> str:
        main(tmp_path, [1, 2], 6, 2, 1, 16, ["steps=2", "batch.labeled=4"], 1)
        return capsys.readouterr().out

    first = study()
    results = (tmp_path / "results.jsonl").read_text()
    lines = [json.loads(line) for line in results.splitlines()]
    assert [line["task"] for line in lines] == ["01 labeled patients", "02 labeled patients"]
    assert all(set(line["sites"]) == {"A", "B", "C", "D"} for line in lines)
    for budget in (1, 2):
        rows = SplitManifest.load(tmp_path / "splits" / f"{budget}-patients-seed0").members.to_pylist()
        assert len({row["patient"] for row in rows if row["role"] == "train"}) == budget
    assert "**02 labeled patients**" in first
    assert study() == first
    assert (tmp_path / "results.jsonl").read_text() == results
