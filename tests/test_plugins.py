"""A distribution that is not heart2heart's adds a part of each kind; the command line and the checks take them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.active_learning.strategies import STRATEGIES
from heart2heart.cli import app
from heart2heart.datasets.catalogue import CATALOGUE
from heart2heart.errors import PluginError
from heart2heart.testing import check_processes
from heart2heart.testing.data_checks import check_dataset, check_query_strategy
from heart2heart.testing.network_checks import check_gradient_rule, check_network
from heart2heart.testing.stores import random_store
from heart2heart.testing.tiny import tiny_store
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.networks.build import NETWORKS
from heart2heart.training.run import Run
from tests.datasets import miniature

SAMPLE = Path(__file__).parent / "plugin_sample"


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample as if pip had installed it."""
    monkeypatch.syspath_prepend(str(SAMPLE))


def test_entry_points_pass_the_checks_of_their_kind(tmp_path: Path) -> None:
    check_processes(ALGORITHMS["sample_agreement"].parse({}, where="test"), tmp_path)
    check_gradient_rule(
        GRADIENT_RULES["sample_half"](),
        reference=lambda labeled, frames, weight: labeled + weight * frames.mean(0) / 2,
    )
    check_network(NETWORKS["SampleLinear"]())
    check_query_strategy(STRATEGIES["sample_first"])
    check_dataset(CATALOGUE["sample-unity"], miniature.unity(tmp_path / "in"), tmp_path)


def test_train_takes_names_of_plugins(tmp_path: Path) -> None:
    tiny, config, out = tiny_store(tmp_path / "tiny"), tmp_path / "config.yaml", tmp_path / "run"
    tiny.config(
        method={"name": "sample_agreement", "params": {"power": 1.5}},
        fix_a_step={"gradient": "sample_half"},
        network={"name": "SampleLinear", "options": {"bias": False}},
        steps=6,
    ).save(config)
    done = CliRunner().invoke(app, ["train", str(config), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert Run.load(out).info().method.startswith("agreement")
    assert "sample_agreement" in TrainConfig.model_json_schema()["$defs"]["AlgorithmConfig"]["discriminator"]["mapping"]
    assert "sample_agreement" in ALGORITHMS.names()


def test_source_takes_the_name_of_a_plugin_and_names_a_broken_one(tmp_path: Path) -> None:
    folder, runner = miniature.unity(tmp_path / "in"), CliRunner()
    listed = runner.invoke(app, ["source", "--help"])
    assert " sample-unity " in listed.output
    assert " camus " in listed.output
    assert "sample-broken" not in listed.output
    done = runner.invoke(app, ["source", "sample-unity", str(folder), "--store", str(tmp_path / "s"), "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert "labels by Sample" in done.output
    broken = runner.invoke(app, ["source", "sample-broken", str(folder), "--store", str(tmp_path / "s")])
    assert isinstance(broken.exception, PluginError)
    assert "heart2heart_sample:MISSING of heart2heart-sample. Update, repair or uninstall" in str(broken.exception)


def test_queue_takes_the_name_of_a_plugin(tmp_path: Path) -> None:
    random_store(tmp_path / "store")
    out = tmp_path / "queue.csv"
    words = ["queue", str(tmp_path / "store"), "--budget", "3", "--by", "sample_first", "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "the first of the pool" in out.read_text(encoding="utf-8")
