"""The validation of an onboarding for a model whose classes are no views: labels and predictions as tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import heart2heart as h2h
from heart2heart.errors import LabelError
from heart2heart.schema.onboarding import StepName, StepState
from heart2heart.schema.split import REQUIRED_CHECKS, SPLIT_MEMBERS, Certificate, Check
from heart2heart.splits.manifest import SplitManifest
from heart2heart.testing import tiny_store
from heart2heart.training.train import train
from heart2heart.utils import write_json
from pipelines.onboard_hospital import onboard
from pipelines.onboarding_settings import OnboardingSettings

CRITERIA = "question: May it be used?\nwritten_by: AB\nbalanced_accuracy: 60\n"


def test_validate_takes_classes_that_are_no_views_by_a_table(tmp_path: Path) -> None:
    tiny = tiny_store(tmp_path)
    manifest = SplitManifest.load(tiny.split)
    names = {"PLAX": "normal", "PSAX": "pneumonia"}
    rows = [row for row in manifest.members.to_pylist() if row["role"] == "unlabeled" or row["view"] in names]
    rows = [row | {"view": names.get(row["view"])} for row in rows]
    split = SplitManifest.freeze(
        tmp_path / "own",
        name="own classes",
        classes=("normal", "pneumonia"),
        seed=0,
        source_sites=["A"],
        held_out_sites=["B"],
        settings={},
        members=pa.Table.from_pylist(rows, schema=SPLIT_MEMBERS),
        stores=h2h.open_store([tiny.store]),
    )
    checks = tuple(Check(name=name, status="pass", detail="not looked for") for name in REQUIRED_CHECKS)
    write_json(split.path / "certificate.json", Certificate(split_sha256=split.sha256, checks=checks).model_dump())
    train(replace(tiny, split=split.path).config(steps=4, evaluate_every=4), tmp_path / "run")
    clips = {row["clip"]: row["view"] for row in rows if row["site"] == "B"}
    lines = ["clip,label", *(f"{clip},{name}" for clip, name in clips.items())]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "criteria.yaml").write_text(CRITERIA)
    settings = OnboardingSettings(
        site="B",
        run=tmp_path / "run",
        out=tmp_path / "out",
        filled_store=tiny.store,
        labels=tmp_path / "labels.csv",
        criteria=tmp_path / "criteria.yaml",
        task="pneumonia",
        studies=50,
        replicates=100,
    )
    record = onboard(settings)
    assert [step.state for step in record.steps if step.name != StepName.ADAPT] == [StepState.DONE] * 7
    step = record.find(StepName.ADAPT)
    assert step is not None
    assert step.state is StepState.NOT_POSSIBLE  # the split scores every patient of B
    assert json.loads((tmp_path / "out" / "report" / "decision.json").read_text())["task"] == "pneumonia"
    (tmp_path / "labels.csv").write_text("\n".join([*lines, lines[1].replace("normal", "pneumonia")]) + "\n")
    with pytest.raises(LabelError, match="two labels of one clip"):
        onboard(settings)
