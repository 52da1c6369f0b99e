"""Whole runs: they learn, repeat, resume bit for bit, and refuse wrong input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from heart2heart.errors import DivergedError, ExistsError, RunError
from heart2heart.testing.runs import Notes, StopAt, StoppedError, same
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training import train as train_module
from heart2heart.training.config import TrainConfig
from heart2heart.training.metrics import MetricsRow
from heart2heart.training.run import Run
from heart2heart.training.train import train

BOTH: dict[str, Any] = {
    "method": {"name": "fixmatch", "params": {"threshold": 0.6}},
    "fix_a_step": {"mixing": True, "gradient": "fix_a_step"},
}


def final(path: Path) -> dict[str, Any]:
    return checkpoint.load(path / "checkpoints" / "last.pt")


def lines(path: Path) -> list[MetricsRow]:
    read = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in read]


@pytest.mark.parametrize("settings", [{}, BOTH], ids=["labels_only", "fixmatch_fix_a_step"])
def test_train_learns_and_reports(tiny: TinyStore, tmp_path: Path, settings: dict[str, Any]) -> None:
    notes = Notes()
    config = tiny.config(steps=40, evaluate_every=20, log_every=10, batch={"labeled": 16, "unlabeled": 16}, **settings)
    run = train(config, tmp_path / "run", progress=notes)
    info = run.info()
    assert info.history[-1]["validation_balanced_accuracy"] > 0.6  # chance is 0.25
    assert info.selected_step in (20, 40)
    assert [done for done, _ in notes.notes][-1] == 40
    assert "images/s" in notes.notes[-1][1]
    assert ("conflict" in notes.notes[-1][1]) is bool(settings)
    assert info.method == ("FixMatch + Fix-A-Step" if settings else "labels only")
    assert info.parameters == sum(parameter.numel() for parameter in run.network.parameters())
    assert "stores" not in json.dumps(info.model_dump(mode="json"))


@pytest.mark.parametrize(
    "settings",
    [
        BOTH | {"fix_a_step": {"mixing": True}},
        BOTH | {"fix_a_step": {"gradient": "fix_a_step"}, "batch_norm": "joint"},
        {"fix_a_step": {"mixing": True}, "optimiser": {"name": "adam", "lr": 0.002}},
        BOTH | {"loss": {"class_weights": False, "scale": "official"}, "batch": {"labeled": 64, "unlabeled": 4}},
        BOTH | {"precision": "bfloat16", "augmentation": {"driver": "albumentations"}},
    ],
    ids=["mixing_alone", "rule_alone_joint", "mixing_over_labels_only", "more_labeled_than_exist", "bfloat16"],
)
def test_train_runs_every_combination(tiny: TinyStore, tmp_path: Path, settings: dict[str, Any]) -> None:
    run = train(tiny.config(steps=2, **settings), tmp_path / "run")
    assert len(lines(run.path)) == 1
    assert 0 <= lines(run.path)[0]["train_accuracy"] <= 1


def test_train_stopped_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH)
    whole = train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "stopped", progress=StopAt(10))
    assert final(tmp_path / "stopped")["step"] == 8
    with pytest.raises(RunError, match="not finished"):
        Run.load(tmp_path / "stopped")
    resumed = train(config, tmp_path / "stopped")
    assert same(final(whole.path), final(resumed.path))
    assert lines(whole.path) == lines(resumed.path)
    other = train(tiny.config(**BOTH, seed=1), tmp_path / "other")
    assert not same(final(whole.path)["network"], final(other.path)["network"])


def test_train_killed_in_the_middle_resumes_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(steps=400, checkpoint_every=2, evaluate_every=100, **BOTH)
    config.save(tmp_path / "config.yaml")
    code = (
        "import sys; from pathlib import Path; from heart2heart.training.config import TrainConfig;"
        "from heart2heart.training.train import train;"
        "train(TrainConfig.load(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "config.yaml"), str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    last = tmp_path / "killed" / "checkpoints" / "last.pt"
    with subprocess.Popen(command, env=environment) as process:
        until = time.monotonic() + 120
        while not last.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    stopped = final(tmp_path / "killed")["step"]
    assert 2 <= stopped < 380
    # The rest is long; a shorter run of the same settings would not do, since the schedule knows its length.
    short = stopped + 4
    resumed, whole = (_train_until(config, tmp_path / name, short) for name in ("killed", "whole"))
    assert resumed["step"] == whole["step"] >= short
    assert same(resumed, whole)


def _train_until(config: TrainConfig, path: Path, step: int) -> dict[str, Any]:
    step += step % 2  # a checkpoint's step
    with pytest.raises(StoppedError):
        train(config, path, progress=StopAt(step))
    return final(path)


def test_train_of_a_finished_run_returns_at_once(
    tiny: TinyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny.config(steps=2)
    first = train(config, tmp_path / "run")
    monkeypatch.setattr(train_module, "_train", None)
    again = train(config, tmp_path / "run")
    assert again.info() == first.info()


def test_train_refuses_another_configuration_and_names_the_keys(tiny: TinyStore, tmp_path: Path) -> None:
    train(tiny.config(steps=2), tmp_path / "run")
    with pytest.raises(RunError, match=r"differing: optimiser\.lr, seed"):
        train(tiny.config(steps=2, optimiser={"lr": 0.01}, seed=3), tmp_path / "run")


def test_train_leaves_a_folder_that_is_no_run_alone(tiny: TinyStore, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExistsError, match="not a training run"):
        train(tiny.config(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_train_that_diverges_names_the_step_and_keeps_its_checkpoint(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(steps=40, optimiser={"lr": 1e18, "weight_decay": 0.0}, checkpoint_every=1, evaluate_every=100)
    with pytest.raises(DivergedError, match=r"step \d+ (is|are) not finite"):
        train(config, tmp_path / "run")
    kept = final(tmp_path / "run")
    assert kept["step"] >= 1
    assert all(value.isfinite().all() for value in kept["network"].values())
    assert all(line["step"] <= kept["step"] for line in lines(tmp_path / "run"))


def test_train_refuses_a_damaged_checkpoint(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(tiny.config(), tmp_path / "run", progress=StopAt(10))
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:200])
    with pytest.raises(RunError, match="cannot be read"):
        train(tiny.config(), tmp_path / "run")


def test_train_leaves_the_random_state_of_the_caller_unchanged(tiny: TinyStore, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(tiny.config(steps=1), tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())
