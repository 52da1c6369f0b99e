"""The replay of labeling: who is drawn for what, what the table says, and a miniature study that is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heart2heart.active_learning.strategies import STRATEGIES
from heart2heart.errors import UnknownNameError
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.stores import random_store, view_labels
from pipelines.label_budget import main, replay_plans
from pipelines.label_budget_data import LabeledClips, draw_parts
from pipelines.label_budget_report import gains, scores_by_round, tables
from tests.pipelines.test_mismatch import _images


def _line(by: str, labels: int, seed: int, score: float, way: str = "labels_only") -> dict[str, Any]:
    key = {"data": "fashion", "way": way, "by": by, "seed": seed, "round": labels // 10 - 1}
    return key | {"asked": labels, "balanced_accuracy": score}


def test_gains_are_paired_by_seed_over_the_rounds_after_the_first() -> None:
    lines = [_line("random", labels, seed, 0.4 + seed / 10) for labels in (10, 20, 30) for seed in (0, 1)]
    for labels, gain in ((10, 0.0), (20, 0.02), (30, 0.04)):
        lines += [_line("margin", labels, seed, 0.4 + seed / 10 + gain) for seed in (0, 1)]
        lines += [_line("margin", labels, seed, 0.5 + gain, "fixmatch") for seed in (0, 1)]
    scores = scores_by_round(lines)
    assert gains(scores, "fashion", "labels_only", "margin") == pytest.approx([3, 3])
    assert gains(scores, "fashion", "fixmatch", "margin", ("labels_only", "margin")) == pytest.approx([10, 0])
    assert gains(scores, "fashion", "fixmatch", "margin") == []  # random was not replayed that way
    table = tables(lines)
    assert "| labels_only | margin | 45.0 (0.0 to 100.0) |" in table
    assert "3.0 (3.0 to 3.0) | helps |" in table
    assert "| 54.0 (54.0 to 54.0) |  |  | 5.0 (-58.5 to 68.5) | not shown |" in table


def test_patients_of_every_hospital_are_in_every_part(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=8)
    truth = {frame[:16]: view for frame, view in view_labels(store).items()}
    archive = LabeledClips.of("hospitals", [store.root], ("PLAX", "PSAX", "A4C", "A2C"), truth)
    part = draw_parts(archive, 0, FrameStores.open([store.root]), images=0, validation=0)
    assert len(part) == len(truth) == 64
    site = np.array(archive.clips["site"].to_pylist())
    for patient in range(16):
        assert len(set(part[archive.patients() == patient])) == 1
    assert {(where, name) for where, name in zip(site, part, strict=True)} == {
        (where, name) for where in "AB" for name in ("pool", "validation", "test")
    }
    assert (part == draw_parts(archive, 0, FrameStores.open([store.root]), 0, 0)).all()


def test_replay_plans_hold_every_method_seed_by_seed() -> None:
    plans = replay_plans(["fashion"], list(STRATEGIES), ["fixmatch+fix_a_step"], ["random", "margin"], 2)
    assert len(plans) == 2 * (len(STRATEGIES) + 2)
    assert [plan.seed for plan in plans] == sorted(plan.seed for plan in plans)


def test_main_on_a_miniature_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _images(tmp_path / "images")
    out = tmp_path / "out"

    def replay(*by: str) -> str:
        main(tmp_path / "images", out, ["fashion"], list(by), with_pool=["random"], seeds=1, rounds=2, first=20,
             more=20, steps=4, images=120, validation=3)  # fmt: skip
        return capsys.readouterr().out.split("rounds in")[0]

    first = replay("random", "vaal")
    results = out / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    assert [json.loads(line)["asked"] for line in lines] == [20, 40] * 3
    assert all(json.loads(line)["fewest_of_a_class"] > 0 for line in lines)
    assert (out / "results.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    # Killed while the last line was being written: the line is torn, the run itself is finished.
    results.write_text("".join(lines[:-1]) + lines[-1][:20])
    assert replay("random", "vaal") == first
    assert len(results.read_text().splitlines()) == 6
    with pytest.raises(UnknownNameError, match="unknown method of the queue 'best'"):
        replay("best")
