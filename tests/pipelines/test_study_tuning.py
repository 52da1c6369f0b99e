"""Tuning gives every way the same budget, and writes a study with what it chose."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import study
from pipelines.study_design import StudyDesign
from pipelines.study_tuning import design_text, tuning_plans
from tests.pipelines.test_mismatch import _images

GRIDS = """
tuning:
  grid: {optimiser.lr: [0.01, 0.03], unlabeled_weight.value: [0.5]}
  labels_grid: {optimiser.lr: [0.02, 0.05], optimiser.weight_decay: [0.001]}
  seed: 50
"""
DESIGN = """
title: Miniature
tasks: {one: {dataset: fashion-mnist, labels: 6}}
ways: [fixmatch]
levels: [0]
seeds: 1
budget: {steps: 2, labeled: 8, unlabeled: 8, blocks: 1, shrink: 2, validation: 4}
controls: {noise: 40}
"""


def test_tuning_plans_give_every_way_the_same_steps(tmp_path: Path) -> None:
    (tmp_path / "design.yaml").write_text(DESIGN + GRIDS)
    design = StudyDesign.load(tmp_path / "design.yaml")
    plans = tuning_plans(design, Path("out"))
    assert len({plan.steps() for _, plan in plans.values()}) == 1
    assert {job.seed for job, _ in plans.values()} == {50}
    assert set(plans["one", "labels_only"][1].grid) == {"optimiser.lr", "optimiser.weight_decay"}
    (tmp_path / "again.yaml").write_text(design_text(design, "command"))
    assert StudyDesign.load(tmp_path / "again.yaml") == design


def test_tune_writes_a_design_with_the_chosen_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _images(tmp_path / "images")
    (tmp_path / "design.yaml").write_text(DESIGN + GRIDS)
    study.main(tmp_path / "design.yaml", tmp_path / "images", tmp_path / "out", tuned=True)
    assert str(tmp_path / "out" / "tuned.yaml") in capsys.readouterr().out
    tuned = StudyDesign.load(tmp_path / "out" / "tuned.yaml")
    assert set(tuned.way_settings) == {"fixmatch", "labels_only"}
    assert tuned.way_settings["labels_only"][1] == "optimiser.weight_decay=0.001"
    job = next(job for job in tuned.jobs(tmp_path) if job.way == "labels_only")
    assert job.config.optimiser.lr in (0.02, 0.05)
    assert job.config.optimiser.weight_decay == 0.001
