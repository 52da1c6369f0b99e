"""The studies in `configs/` can be read, and say how to run them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.algorithms.weak_to_strong import FixMatch
from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.networks.build import NETWORKS
from heart2heart.utils import sha256_json

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.name != "folds.yaml")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}_{path.stem}")
def test_train_config_reads_every_study_with_its_command(path: Path) -> None:
    config = TrainConfig.load(path, ["data.stores=[store]", "data.split=split"])
    build_algorithm(config.method.name, config.method.params)
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for word in ("heart2heart train", "Cost:", "Expected:"):
        assert any(word in line for line in comments), f"{path.name} does not say: {word}"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: f"{path.parent.name}_{path.stem}")
def test_train_config_takes_the_overrides_that_a_study_names(path: Path) -> None:
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    named = [re.findall(r"(?:[a-z_]+\.)*[a-z_]+=[\w.+-]*\w", line) for line in comments]
    for overrides in (overrides_of_line for overrides_of_line in named if overrides_of_line):
        config = TrainConfig.load(path, ["data.stores=[store]", "data.split=split", *overrides])
        build_algorithm(config.method.name, config.method.params)


def test_train_config_of_the_demo_gives_each_method_the_same_budget() -> None:
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


def test_train_config_names_unknown_keys_and_values() -> None:
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


def test_train_config_validates_settings_by_the_class_of_their_name() -> None:
    data = {"data": {"stores": ["s"], "split": "p"}}
    for content, message in (
        (
            {"method": {"name": "fixmatch", "params": {"tau": 1}}},
            r"fixmatch: tau: unknown key \(known: threshold, threshold_rule, threshold_decay, labels_from\)",
        ),
        ({"method": {"name": "fixmatch", "params": {"threshold": 3}}}, "method fixmatch: threshold: .* equal to 1"),
        ({"method": {"params": {"tau": 1}}}, r"method labels_only: tau: unknown key \(known: none\)"),
        ({"network": {"options": {"deep": 1}}}, r"network WideResNet: deep: unknown key \(known: variant, depth"),
        ({"network": {"name": "ViT", "options": {"proj_type": "x"}}}, "network ViT: proj_type: .*'conv'"),
    ):
        with pytest.raises(ConfigError, match=f"{message}.*study.yaml"):
            TrainConfig.parse(data | content, where="study.yaml")
    for other, known in (
        ({"method": {"name": "fixmach"}}, "unknown method 'fixmach': study.yaml. Known: agreement_weighting, atso"),
        ({"network": {"name": "ResNot"}}, "unknown network 'ResNot': study.yaml. Known: DenseNet121"),
        ({"fix_a_step": {"gradient": "half"}}, "unknown gradient rule 'half': study.yaml. Known: fix_a_step"),
    ):
        with pytest.raises(UnknownNameError, match=re.escape(known)):
            TrainConfig.parse(data | other, where="study.yaml")


def test_train_config_keeps_settings_as_written() -> None:
    content = {"name": "fixmatch", "params": {"threshold": 1}}
    config = TrainConfig.parse({"data": {"stores": ["s"], "split": "p"}, "method": content}, where="study.yaml")
    assert config.model_dump(mode="json")["method"] == content


def test_train_config_schema_completes_the_settings_of_each_name() -> None:
    schema = TrainConfig.model_json_schema()
    definitions = schema["$defs"]

    def settings(section: str, name: str, key: str) -> dict[str, Any]:
        union = definitions[section]
        assert union["discriminator"]["propertyName"] == "name"
        part = definitions[union["discriminator"]["mapping"][name].rsplit("/", 1)[1]]
        assert part["additionalProperties"] is False
        assert part["properties"]["name"]["const"] == name
        properties: dict[str, Any] = definitions[part["properties"][key]["$ref"].rsplit("/", 1)[1]]
        return properties

    for name, kind in ALGORITHMS.items():
        assert settings("AlgorithmConfig", name, "params").get("properties", {}).keys() == kind.model_fields.keys()
    for name, network in NETWORKS.items():
        assert settings("NetworkConfig", name, "options")["properties"].keys() == network.model_fields.keys()
    assert definitions["FixAStepConfig"]["properties"]["gradient"]["enum"] == list(GRADIENT_RULES)
    with ALGORITHMS.registered("mine", FixMatch):
        assert "mine" in TrainConfig.model_json_schema()["$defs"]["AlgorithmConfig"]["discriminator"]["mapping"]


def test_digest_counts_the_clean_rows_only_where_they_are_asked_for(tiny: TinyStore) -> None:
    config = tiny.config(fix_a_step={"mixing": True})
    content = config.model_dump(mode="json")
    del content["fix_a_step"]["clean"], content["network"]["init_scored"]  # as configurations were before these keys
    assert config.digest() == sha256_json(content)
    assert tiny.config(fix_a_step={"mixing": True, "clean": True}).digest() != config.digest()
