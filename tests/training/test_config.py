"""The studies in `configs/` can be read, and say how to run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms import build_algorithm
from heart2heart.training.config import TrainConfig

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.name != "folds.yaml")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}_{path.stem}")
def test_studies_can_be_read_and_say_their_command(path: Path) -> None:
    config = TrainConfig.load(path, ["data.stores=[store]", "data.split=split"])
    build_algorithm(config.method.name, config.method.params)
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for word in ("heart2heart train", "Cost:", "Expected:"):
        assert any(word in line for line in comments), f"{path.name} does not say: {word}"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}_{path.stem}")
def test_overrides_that_a_study_names_can_be_used(path: Path) -> None:
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    named = [re.findall(r"(?:[a-z_]+\.)*[a-z_]+=[\w.+-]*\w", line) for line in comments]
    for overrides in (found for found in named if found):
        config = TrainConfig.load(path, ["data.stores=[store]", "data.split=split", *overrides])
        build_algorithm(config.method.name, config.method.params)


def test_the_demo_compares_with_the_same_budget() -> None:
    alone, with_pool = (
        TrainConfig.load(ROOT / "configs" / name, ["data.stores=[store]", "data.split=split"])
        for name in ("demo/labels_only.yaml", "demo/fixmatch_fix_a_step.yaml")
    )
    assert alone.steps == with_pool.steps
    assert alone.network == with_pool.network
    assert alone.batch.labeled == with_pool.batch.labeled
    assert alone.optimiser == with_pool.optimiser
    assert alone.seed == with_pool.seed
    base = TrainConfig.load(ROOT / "configs/demo/fixmatch.yaml", ["data.stores=[store]", "data.split=split"])
    assert base == with_pool.with_overrides(["fix_a_step.mixing=false", "fix_a_step.gradient=sum"])


def test_unknown_keys_and_values_are_refused_by_name() -> None:
    data = {"data": {"stores": ["s"], "split": "p"}}
    for content, message in (
        ({}, "data: Field required"),
        (data | {"leraning_rate": 1}, "leraning_rate: unknown key"),
        (data | {"batch": {"labeled": 0}}, r"batch\.labeled"),
        (data | {"loss": {"scale": "other"}}, r"loss\.scale"),
        (data | {"optimiser": {"lr": float("nan")}}, r"optimiser\.lr"),
    ):
        with pytest.raises(ConfigError, match=message):
            TrainConfig.parse(content, where="study.yaml")
