"""The study of pretraining in miniature: paired ways, a table with intervals, and a study that is continued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heart2heart.testing.tiny import tiny_store
from pipelines.pretraining_gain import main, mean_and_interval, table


def test_main_pretrains_tunes_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = tiny_store(tmp_path / "tiny")
    demo = tmp_path / "demo"
    (demo / "stores").mkdir(parents=True)
    tiny.store.rename(demo / "stores" / "A")
    tiny.split.rename(demo / "split")

    def study() -> str:
        main(demo, tmp_path / "out", ["plain", "plain_long", "simclr"], ["frames"], 1, 4, 4, 2, 1)
        return capsys.readouterr().out

    first = study()
    results = (tmp_path / "out" / "results.jsonl").read_text()
    lines = [json.loads(line) for line in results.splitlines()]
    assert [(line["way"], line["steps"]) for line in lines] == [("plain", 2), ("plain_long", 4), ("simclr", 2)]
    assert lines[2]["effective_rank"] > 1
    assert "| simclr, frames |" in first
    assert study() == first
    assert (tmp_path / "out" / "results.jsonl").read_text() == results


def test_table_pairs_the_ways_by_seed() -> None:
    def line(way: str, seed: int, clips: float, positives: str | None = None) -> dict[str, object]:
        sites = {"A": {"clips": clips}, "B": {"clips": clips - 0.1}}
        return {"way": way, "positives": positives, "seed": seed, "sites": sites}

    lines = [line("plain", seed, 0.5 + seed / 10) for seed in range(3)]
    lines += [line("byol", seed, 0.6 + seed / 10, positives="views") for seed in range(3)]
    shown = table(lines).splitlines()
    assert shown[2] == "| plain | 60.0 | 50.0 | 55.0 |  |  |"
    assert shown[3] == "| byol, views | 70.0 | 60.0 | 65.0 | +10.0 (+10.0 to +10.0) |  |"


def test_mean_and_interval_of_one_seed_is_endless() -> None:
    assert mean_and_interval([2.0]) == (2.0, float("inf"))
