"""Signals of pools: areas and cosines against independent references, and the published tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import pool_signals
from benchmarks.captured_runs import CapturedRun
from benchmarks.draft_study import draft_study
from benchmarks.packed_study import PackedStudy
from benchmarks.signal_tables import batches_needed, signal_tables
from heart2heart.errors import ConfigError
from heart2heart.training.model_access import last_layer_inputs
from pipelines.study_design import StudyDesign
from tests.pipelines.test_mismatch import _images

PUBLISHED = Path("docs/results/uncurated-signals.jsonl")
DESIGN = Path("pipelines/studies/uncurated_development.yaml")


@pytest.fixture(scope="module")
def design() -> StudyDesign:
    overrides = ["ways=[fixmatch]", "levels=[50]", "seeds=1", "tasks.garments.labels=4",
                 "budget={steps: 4, labeled: 8, unlabeled: 8, validation: 4, shrink: 2, ema: 0.5}"]  # fmt: skip
    return StudyDesign.load(DESIGN, overrides)


def test_measure_gives_every_signal_an_area_and_leaves_the_run_as_it_was(
    design: StudyDesign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _images(tmp_path / "images")
    draft_study(design, tmp_path / "images", tmp_path, tmp_path / "packed.npz")
    monkeypatch.setattr(pool_signals, "BATCHES", 2)
    monkeypatch.setattr(pool_signals, "FRAMES", 60)
    lines = list(pool_signals.measure(design, tmp_path, [2, 4]))
    assert [(line["task"], line["level"], line["step"]) for line in lines] == [
        ("garments", 50, 2), ("garments", 50, 4), ("mixed", 50, 2), ("mixed", 50, 4)]  # fmt: skip
    for line in lines:
        assert 0 < line["frames"]["seen"] < 1
        assert all(0 <= area["seen"] <= 1 for area in line["frames"]["areas"].values())
        assert all(len(values) == 2 and max(map(abs, values)) <= 1.0001 for values in line["batches"].values())
    study = PackedStudy.read(tmp_path / "packed.npz")
    job = next(job for job in design.jobs(tmp_path) if job.way == "fixmatch")
    run = CapturedRun(job, study, torch.from_numpy(study.content["pixels"]))
    before = {name: value.clone() for name, value in run.trainer.ema.network.state_dict().items()}
    pool_signals.frame_signals(run, study)
    assert all(torch.equal(value, before[name]) for name, value in run.trainer.ema.network.state_dict().items())
    held_out = pool_signals.labeled_frames(run, "held-out")[1]
    assert np.bincount(held_out.numpy()).tolist() == [2] * 6


def test_prototype_cosine_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    vectors, known, label = rng.normal(size=(5, 3)), rng.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1])
    classes = np.array([0, 0, 0, 1, 1, 1])
    arrays = (vectors, label, known, np.eye(2)[classes])
    cosine = pool_signals._prototype_cosine(*(torch.from_numpy(each) for each in arrays))
    for row, (vector, each) in enumerate(zip(vectors, label, strict=True)):
        one, other = vector - known.mean(0), known[classes == each].mean(0) - known.mean(0)
        assert float(cosine[row]) == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_last_layer_inputs_are_what_the_classifier_reads() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    frames = torch.randn(5, 1, 2, 2)
    inputs, logits = last_layer_inputs(network, frames)
    torch.testing.assert_close(inputs, network[:3](frames))
    torch.testing.assert_close(logits, network(frames))
    with pytest.raises(ConfigError, match="no linear layer"):
        last_layer_inputs(nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten()), frames)


def test_batches_needed_is_nine_variances_over_the_squared_gap() -> None:
    rng = np.random.default_rng(0)
    good, foreign = rng.normal(0.3, 0.5, 4000), rng.normal(0.1, 0.5, 4000)
    assert batches_needed(list(good), list(foreign)) == pytest.approx(9 * 0.5 / 0.04, rel=0.25)
    assert batches_needed([1.0, 2.0], [1.0, 2.0]) == float("inf")


def test_signal_tables_are_those_of_the_page() -> None:
    lines = [json.loads(text) for text in PUBLISHED.read_text(encoding="utf-8").splitlines()]
    page = Path("docs/results/uncurated-rules.md").read_text(encoding="utf-8")
    tables = signal_tables(lines)
    rows = [row for row in tables.splitlines() if row.startswith(("| confidence |", "| cosine with the nearest"))]
    assert len(rows) == 3
    assert all(row in page for row in rows)
    product = [line["batches"]["labeled batch"] for line in lines if (line["task"], line["step"]) == ("garments", 500)]
    assert f"{np.mean(product[0]):.2f} (SD {np.std(product[0], ddof=1):.2f})" in tables
