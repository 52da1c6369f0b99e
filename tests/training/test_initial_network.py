"""Runs that begin with weights: what is loaded and recorded, resuming without the file, freezing, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.testing.runs import StopAt, StoppedError
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.config import TrainConfig
from heart2heart.training.initial_network import build_initial_network, pin_weights
from heart2heart.training.networks.build import build_network
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.train import train
from heart2heart.utils import sha256_file

NETWORK: dict[str, Any] = {"name": "WideResNet", "options": {"depth": 10, "widen": 1}}
CLASSES = ("A2C", "A4C", "PLAX", "PSAX")


def small_network(*, seed: int = 5, classes: int = 7) -> nn.Module:
    torch.manual_seed(seed)
    return build_network("WideResNet", classes=classes, size=32, depth=10, widen=1)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a file of weights whose head is of seven classes, with a licence beside it."""
    path = tmp_path / "weights" / "hearts.safetensors"
    path.parent.mkdir()
    save_file(small_network().state_dict(), path)
    (path.parent / "LICENSE").write_text("Apache License\nVersion 2.0\n")
    return path


def config_of(tiny: TinyStore, weights: Path, **network: Any) -> TrainConfig:
    return tiny.config(steps=8, checkpoint_every=4, network={**NETWORK, "init": str(weights), **network})


def states(run: Path) -> dict[str, dict[str, Tensor]]:
    last = checkpoint.load(run / "checkpoints" / "last.pt")
    return {"network": last["network"], "ema": last["ema"]}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_build_initial_network_loads_and_records(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    config = pin_weights(config_of(tiny, weights), tmp_path / "run")
    initial = build_initial_network(config, CLASSES, 4, 32, tmp_path / "run")
    stored = small_network().state_dict()
    loaded = initial.network.state_dict()
    assert all(torch.equal(loaded[name], stored[name]) for name in loaded if not name.startswith("classifier"))
    record = initial.record
    assert record is not None
    assert (record.file, record.sha256) == ("hearts.safetensors", sha256_file(weights))
    assert record.licence == "Apache License Version 2.0 (LICENSE)"
    assert set(record.fresh) == set(record.unused) == {"classifier.weight", "classifier.bias"}
    assert record.loaded + 2 == sum("num_batches" not in name for name in stored)
    assert "fresh: classifier; 2 of the file not used; licence: Apache" in record.sentence()


def test_train_records_the_weights_and_no_path(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    run = train(config_of(tiny, weights, init_licence="CC-BY-4.0"), tmp_path / "run")
    record = json.loads((run.path / "run.json").read_text())
    assert record["init"]["sha256"] == run.config.network.init_sha256 == sha256_file(weights)
    assert record["init"]["licence"] == "CC-BY-4.0"
    assert record["notes"][0].startswith("initialised with hearts.safetensors (sha256 ")
    info = run.info()
    assert info.facts.initialisation == "hearts.safetensors"
    assert str(weights.parent) not in json.dumps(info.model_dump(mode="json")) + json.dumps(record)


def test_train_stopped_resumes_to_the_same_bits_without_the_file(
    tiny: TinyStore, tmp_path: Path, weights: Path
) -> None:
    config = config_of(tiny, weights)
    train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "stopped", progress=StopAt(6))
    weights.unlink()
    run = train(config, tmp_path / "stopped")
    whole, resumed = states(tmp_path / "whole"), states(tmp_path / "stopped")
    assert all(equal(whole[name], resumed[name]) for name in whole)
    assert run.directory.record.init == RunDirectory.read(tmp_path / "whole").record.init
    assert train(config, tmp_path / "stopped").path == run.path  # finished: nothing is read
    with pytest.raises(MissingInputError, match="no weights here to begin from"):
        train(config, tmp_path / "another")


def test_train_noisy_student_begins_anew_with_the_weights_after_a_resume(
    tiny: TinyStore, tmp_path: Path, weights: Path
) -> None:
    config = config_of(tiny, weights).with_overrides(["method.name=noisy_student"])
    train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "stopped", progress=StopAt(2))
    weights.unlink()
    train(config, tmp_path / "stopped")
    whole, resumed = states(tmp_path / "whole"), states(tmp_path / "stopped")
    assert all(equal(whole[name], resumed[name]) for name in whole)


def test_pin_weights_covers_the_content_and_not_the_path(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    save_file(small_network(seed=6).state_dict(), tmp_path / "other.safetensors")
    digests = [
        pin_weights(config_of(tiny, path), tmp_path / "run").digest()
        for path in (weights, copy, tmp_path / "other.safetensors")
    ]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] != tiny.config(steps=8, checkpoint_every=4, network=NETWORK).digest()


def test_pin_weights_refuses_another_file(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    with pytest.raises(RunError, match=r"have the sha256 .*, not that of network.init_sha256"):
        pin_weights(config_of(tiny, weights, init_sha256="0" * 64), tmp_path)
    config = config_of(tiny, weights)
    with pytest.raises(StoppedError):
        train(config, tmp_path / "run", progress=StopAt(2))
    save_file(small_network(seed=6).state_dict(), weights)
    with pytest.raises(RunError, match=r"another configuration; differing: network\.init_sha256"):
        train(config, tmp_path / "run")


def test_train_resumes_where_the_weights_were_moved(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    with pytest.raises(StoppedError):
        train(config_of(tiny, weights), tmp_path / "run", progress=StopAt(6))
    moved = weights.rename(tmp_path / "moved.safetensors")
    assert train(config_of(tiny, moved), tmp_path / "run").directory.record.steps == 8


def test_train_leaves_no_folder_for_weights_that_do_not_fit(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    for network in ({"options": {"depth": 10, "widen": 2}}, {"name": "SonoNet16", "options": {}}):
        with pytest.raises(RunError, match=r"other shapes|no weight of SonoNet16's encoder"):
            train(config_of(tiny, weights, **network), tmp_path / "run")
    with pytest.raises(ConfigError, match="init_input"):
        train(config_of(tiny, weights, init_input="imagenet"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_train_begins_with_the_selected_weights_of_another_run(tiny: TinyStore, tmp_path: Path) -> None:
    first = train(tiny.config(steps=4, network=NETWORK), tmp_path / "first")
    config = config_of(tiny, first.path)
    pinned = pin_weights(config, tmp_path / "second")
    assert pinned.network.init_sha256 == sha256_file(first.directory.best_checkpoint)
    initial = build_initial_network(pinned, first.classes, 4, 32, tmp_path / "second")
    assert equal(dict(initial.network.named_parameters()), dict(first.network.named_parameters()))
    assert initial.record is not None
    assert (initial.record.file, initial.record.fresh) == ("first", ())
    second = train(config, tmp_path / "second")
    assert second.directory.record.init == initial.record
    others = build_initial_network(pinned, first.classes[::-1], 4, 32, tmp_path / "third")
    assert others.record is not None
    assert others.record.fresh == ("classifier.weight", "classifier.bias")


def test_pin_weights_takes_a_file_of_a_run(tiny: TinyStore, tmp_path: Path) -> None:
    first = train(tiny.config(steps=4, network=NETWORK), tmp_path / "first")
    config = pin_weights(config_of(tiny, first.directory.best_checkpoint), tmp_path / "second")
    initial = build_initial_network(config, first.classes, 4, 32, tmp_path / "second")
    assert equal(dict(initial.network.named_parameters()), dict(first.network.named_parameters()))


def test_train_refuses_unfinished_runs_and_other_networks(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(tiny.config(steps=8, network=NETWORK), tmp_path / "first", progress=StopAt(2))
    with pytest.raises(MissingInputError, match="no weights of a finished run"):
        train(config_of(tiny, tmp_path / "first"), tmp_path / "second")
    train(tiny.config(steps=8, network=NETWORK), tmp_path / "first")
    with pytest.raises(RunError, match="this run trained WideResNet, not SonoNet16"):
        train(config_of(tiny, tmp_path / "first", name="SonoNet16", options={}), tmp_path / "second")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": {"name": "fixmatch", "params": {"threshold": 0.3}}, "fix_a_step": {"gradient": "per_frame"}},
        {"method": {"name": "fixmatch"}, "fix_a_step": {"mixing": True, "gradient": "fix_a_step"}},
        {"method": {"name": "ds3l"}},
        {"method": {"name": "self_meta_pseudo_labels"}},
    ],
    ids=["labels_only", "per_frame", "fix_a_step", "ds3l", "self_meta_pseudo_labels"],
)
def test_train_leaves_a_frozen_encoder_unchanged(
    tiny: TinyStore, tmp_path: Path, weights: Path, settings: dict[str, Any]
) -> None:
    config = config_of(tiny, weights, freeze="encoder")
    config = TrainConfig.parse(config.model_dump(mode="json") | settings, where="test")
    run = train(config, tmp_path / "run")
    before = checkpoint.load(tmp_path / "run" / "checkpoints" / "initial.pt")["weights"]
    after = states(tmp_path / "run")["network"]
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert run.directory.record.parameters == sum(parameter.numel() for parameter in run.network.parameters())


def test_train_moves_a_slower_encoder_less(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    moves = {}
    for factor in (1.0, 0.01):
        out = tmp_path / f"run {factor}"
        train(config_of(tiny, weights, encoder_lr=factor).with_overrides(["steps=1"]), out)
        before = checkpoint.load(out / "checkpoints" / "initial.pt")["weights"]
        after = states(out)["network"]
        moves[factor] = {
            name: (after[name] - before[name]).norm() for name in ("stem.conv.weight", "classifier.weight")
        }
    one, slow = moves[1.0], moves[0.01]
    torch.testing.assert_close(slow["stem.conv.weight"], one["stem.conv.weight"] * 0.01, rtol=0.01, atol=1e-6)
    torch.testing.assert_close(slow["classifier.weight"], one["classifier.weight"])


def test_run_load_needs_no_weights(tiny: TinyStore, tmp_path: Path, weights: Path) -> None:
    train(config_of(tiny, weights), tmp_path / "run")
    weights.unlink()
    assert Run.load(tmp_path / "run").network(torch.zeros(1, 1, 32, 32)).shape == (1, 4)
