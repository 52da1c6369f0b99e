"""A pretraining from its configuration to a classifier, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from heart2heart.errors import CollapsedError, ConfigError, ExistsError, LeakageError, RunError
from heart2heart.representation.directory import PretrainDirectory
from heart2heart.representation.methods import PRETRAIN_METHODS, PairLoss, PairStep, PretrainMethod
from heart2heart.representation.pretrain import pretrain
from heart2heart.schema.pretraining import read_patients, read_pretrain_record
from heart2heart.testing.pretraining_checks import tiny_pretraining
from heart2heart.testing.tiny import QUICK, TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.run import run_facts, run_title
from heart2heart.training.train import train


@pytest.fixture(scope="module")
def finished(tiny: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> PretrainDirectory:
    return pretrain(tiny_pretraining(tiny), tmp_path_factory.mktemp("pretrained") / "run")


class Attraction(PretrainMethod):
    """Pulls the views together and nothing else, so that it must collapse."""

    title: ClassVar[str] = "attraction"

    def projector(self, features: int) -> nn.Module:
        return nn.Identity()

    def loss(self, step: PairStep) -> PairLoss:
        first, second = (step.project(view) for view in step.views)
        return PairLoss((first - second).square().sum(1).mean() + first.square().sum(1).mean())


def test_pretrain_records_what_it_read(finished: PretrainDirectory, tiny: TinyStore) -> None:
    record = read_pretrain_record(finished.path)
    assert (record.finished, record.method, record.steps, record.frames) == (True, "SimCLR", 4, 180)
    assert (record.clips, record.patients, record.scored_patients) == (60, 15, False)
    assert record.collapse is not None
    assert record.collapse.effective_rank > 1.5
    rows = finished.metrics.read()
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["effective_rank"] > 1.5
    assert len(read_patients(finished.path)) == 15
    assert (finished.path / "patients.json").stat().st_mode & 0o077 == 0
    assert "classifier.weight" not in checkpoint.load(finished.weights)["weights"]


def test_pretrain_returns_a_finished_one_and_refuses_another(
    finished: PretrainDirectory, tiny: TinyStore, tmp_path: Path
) -> None:
    before = finished.weights.read_bytes()
    assert pretrain(tiny_pretraining(tiny), finished.path).record == read_pretrain_record(finished.path)
    assert finished.weights.read_bytes() == before
    with pytest.raises(RunError, match=r"another configuration; differing: pairs"):
        pretrain(tiny_pretraining(tiny, pairs=8), finished.path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ExistsError, match="no pretraining"):
        pretrain(tiny_pretraining(tiny), tmp_path)


def test_train_begins_from_a_pretraining(finished: PretrainDirectory, tiny: TinyStore, tmp_path: Path) -> None:
    run = train(tiny.config(network=QUICK["network"] | {"init": str(finished.path)}, steps=2), tmp_path / "run")
    init = run.directory.record.init
    assert init is not None
    assert (init.fresh, init.scored_sites) == (("classifier.weight", "classifier.bias"), ())
    begun = checkpoint.load(tmp_path / "run" / "checkpoints" / "initial.pt")["weights"]
    pretrained = checkpoint.load(finished.weights)["weights"]
    learned = {name: value for name, value in pretrained.items() if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(begun[name], value) for name, value in learned.items())


def test_train_refuses_a_pretraining_of_another_network(
    finished: PretrainDirectory, tiny: TinyStore, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="this pretraining has WideResNet, not SonoNet16"):
        train(tiny.config(network={"name": "SonoNet16", "init": str(finished.path)}), tmp_path / "run")


def test_train_refuses_a_pretraining_on_scored_patients_unless_asked(tiny: TinyStore, tmp_path: Path) -> None:
    everybody = pretrain(tiny_pretraining(tiny, data={"stores": [str(tiny.store)]}, steps=1), tmp_path / "all")
    assert "no split was named" in everybody.record.notes[0]
    network = QUICK["network"] | {"init": str(everybody.path)}
    with pytest.raises(LeakageError, match="read 8 patients whom this split scores, of A, B"):
        train(tiny.config(network=network, steps=2), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run = train(tiny.config(network=network | {"init_scored": True}, steps=2), tmp_path / "run")
    assert any("saw scored patients of A, B" in note for note in run.directory.record.notes)
    assert run_facts(run).transductive == ("A", "B")
    assert run_title(run) == "labels only, with unlabeled frames of A, B"


def test_train_refuses_a_pretraining_whose_patients_were_edited(
    finished: PretrainDirectory, tiny: TinyStore, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    (copy / "checkpoints").mkdir(parents=True)
    for name in ("pretrain.json", "checkpoints/best.pt"):
        (copy / name).write_bytes((finished.path / name).read_bytes())
    (copy / "patients.json").write_text(json.dumps([]))
    with pytest.raises(RunError, match="list of patients was changed"):
        train(tiny.config(network=QUICK["network"] | {"init": str(copy)}), tmp_path / "run")


def test_pretrain_hands_on_the_patients_of_an_earlier_pretraining(
    finished: PretrainDirectory, tiny: TinyStore, tmp_path: Path
) -> None:
    everybody = pretrain(tiny_pretraining(tiny, data={"stores": [str(tiny.store)]}, steps=1), tmp_path / "all")
    network = QUICK["network"] | {"init": str(everybody.path)}
    second = pretrain(tiny_pretraining(tiny, network=network, steps=1), tmp_path / "second")
    assert read_patients(second.path) == read_patients(everybody.path)
    assert second.record.init is not None


def test_pretrain_refuses_a_collapsed_representation(tiny: TinyStore, tmp_path: Path) -> None:
    with PRETRAIN_METHODS.registered("attraction", Attraction):
        settings: dict[str, Any] = {
            "method": {"name": "attraction"},
            "steps": 60,
            "evaluate_every": 10,
            "optimiser": {"name": "adam", "lr": 0.05},
            "collapse": {"frames": 64, "deviation": 0.1, "patience": 2},
        }
        with pytest.raises(CollapsedError, match=r"collapsed at step \d+: effective rank") as caught:
            pretrain(tiny_pretraining(tiny, **settings), tmp_path / "run")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run" / "checkpoints" / "best.pt").exists()
    assert not read_pretrain_record(tmp_path / "run").finished


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "block9"}, "has no layer 'block9'"),
        ({"method": {"name": "moco", "params": {"queue": 0}}}, "queue"),
        ({"network": {"freeze": "encoder", "init": "x.pt"}}, "pretraining trains the encoder"),
        ({"data": {"stores": ["s"], "scored_patients": True}}, "without a split nobody is known"),
        ({"data": {"stores": ["s"]}, "pool": {"transductive": ["B"]}}, "no hospital is held out"),
    ],
)
def test_pretrain_refuses_settings_that_cannot_work(
    changes: dict[str, Any], message: str, tiny: TinyStore, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(tiny_pretraining(tiny, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pretrain_refuses_several_processes(tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        pretrain(tiny_pretraining(tiny), tmp_path / "run")
