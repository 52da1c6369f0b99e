"""Two processes train one run: the trajectory of one process, decisions included; and what happens when one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from heart2heart.errors import ConfigError, RunError
from heart2heart.testing.processes import run_processes
from heart2heart.testing.runs import same
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint, distributed
from heart2heart.training.batch_norm import synchronise_batch_norm
from heart2heart.training.config import TrainConfig
from heart2heart.training.distributed import join_process_group
from heart2heart.training.run import Run
from heart2heart.training.train import advance, train
from tests.training.double_precision import assert_same_weights, train_in_double
from tests.training.test_train import BOTH, final, lines

STEPS = 5
DECIDING = BOTH | {"method": {"name": "fixmatch", "params": {"threshold": 0.4}}}
"""In some of its steps the gradients oppose each other, in some not."""
DROPPING: dict[str, Any] = {
    "name": "ViT",
    "options": {
        "patch_size": 8,
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_layers": 1,
        "num_heads": 2,
        "dropout_rate": 0.2,
    },
}


def train_and_end(config: TrainConfig, out: Path) -> None:
    train(config, out)


@pytest.mark.parametrize(
    "settings",
    [
        DECIDING,
        DECIDING
        | {"batch_norm": "joint", "loss": {"scale": "official"}}
        | {"batch": {"labeled": 8, "unlabeled": 4, "balance": "site_and_view", "balance_unlabeled": "site"}},
        {"optimiser": {"name": "adam", "lr": 0.002}, "fix_a_step": {"mixing": True}},
    ],
    ids=["separate", "joint_balanced", "labels_only_mixed"],
)
def test_run_processes_take_the_steps_of_one(tiny: TinyStore, tmp_path: Path, settings: dict[str, Any]) -> None:
    config = tiny.config(**{"steps": STEPS, "log_every": 1, "evaluate_every": 2} | settings)
    train_in_double(config, tmp_path / "alone")
    assert run_processes(2, train_in_double, config, tmp_path / "two", folder=tmp_path) == ["", ""]
    selected = [checkpoint.load(tmp_path / run / "checkpoints" / "best.pt")["step"] for run in ("alone", "two")]
    assert selected[0] == selected[1]
    assert_same_weights(final(tmp_path / "alone"), final(tmp_path / "two"))
    for of_one, of_two in zip(lines(tmp_path / "alone"), lines(tmp_path / "two"), strict=True):
        assert of_one == pytest.approx(of_two, abs=1e-6)
        assert of_one.get("conflict_rate") == of_two.get("conflict_rate")
    if settings is DECIDING:
        assert {line["conflict_rate"] for line in lines(tmp_path / "two")} == {0.0, 1.0}


def pause_and_end(config: TrainConfig, out: Path) -> None:
    advance(config, out, until=3)
    assert checkpoint.load(out / "checkpoints" / "last.pt")["step"] == 3
    train(config, out)


def test_run_processes_resume_to_the_same_bits(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH | {"steps": 4, "network": DROPPING, "evaluate_every": 4})
    assert run_processes(2, train_and_end, config, tmp_path / "whole", folder=tmp_path) == ["", ""]
    assert run_processes(2, pause_and_end, config, tmp_path / "paused", folder=tmp_path) == ["", ""]
    whole, paused = final(tmp_path / "whole"), final(tmp_path / "paused")
    assert same(whole, paused)
    streams = whole["random"]["cpu"]
    assert len(streams) == 2
    assert not torch.equal(streams[0], streams[1])  # each process drops its own


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3, momentum=None), nn.Flatten(), nn.Linear(27, 2), nn.BatchNorm1d(2))
    return nn.Sequential(*layers).double()


def normalise_apart(folder: Path) -> None:
    """Write what two processes get for the rows of one batch."""
    group = join_process_group()
    network = synchronise_batch_norm(small_network(), group).train()
    frames = torch.load(folder / "frames.pt")[group.rows(8)]
    weights = dict(network.named_parameters())
    out = network(frames)
    mean = (out**3).mean()
    gradients = torch.autograd.grad(mean, list(weights.values()), create_graph=True)
    slope = sum((gradient**2).sum() for gradient in gradients)
    assert isinstance(slope, Tensor)
    second = torch.autograd.grad(slope, list(weights.values()))
    frozen = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    for module in frozen:
        module.track_running_stats = False
    tangents = {name: torch.ones_like(value) for name, value in weights.items()}
    present = {name: value.detach() for name, value in weights.items()}
    along = jvp(lambda parameters: functional_call(network, parameters, (frames,)), (present,), (tangents,))[1]
    assert all(torch.equal(value, buffers[name]) for name, value in network.named_buffers())
    results = {
        "out": group.all_gather(out),
        "gradient": torch.cat([group.mean(gradient.detach()).flatten() for gradient in gradients]),
        "along": group.all_gather(along),
        "whether": group.all_gather(frames[:, 0, 0, 0] > 0),
        **buffers,
        "evaluated": group.all_gather(network.eval()(frames)),
    }
    assert all(torch.isfinite(value).all() for value in second)
    if group.is_main:
        torch.save(results, folder / f"of-{group.size}.pt")


def test_synchronise_batch_norm_uses_the_rows_of_all_processes(tmp_path: Path) -> None:
    torch.save(torch.randn(8, 1, 5, 5, dtype=torch.float64) + 3, tmp_path / "frames.pt")
    assert run_processes(1, normalise_apart, tmp_path, folder=tmp_path) == [""]
    assert run_processes(2, normalise_apart, tmp_path, folder=tmp_path) == ["", ""]
    one, two = (torch.load(tmp_path / f"of-{count}.pt") for count in (1, 2))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-10, rtol=1e-8)


def test_train_refuses_batches_that_cannot_be_divided(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH | {"batch": {"labeled": 8, "unlabeled": 7}})
    ends = run_processes(2, train_and_end, config, tmp_path / "run", folder=tmp_path)
    for end in ends:
        assert "a batch of 7 frames cannot be shared evenly by 2 processes: batch.unlabeled" in end
    assert not (tmp_path / "run").exists()


def one_dies(config: TrainConfig, out: Path, how: str) -> None:
    distributed.TIMEOUT = timedelta(seconds=6)
    if os.environ["RANK"] == "1":
        keep, done = distributed.ProcessGroup.mean, []

        def mean(self: distributed.ProcessGroup, value: Tensor) -> Tensor:
            done.append(1)
            if len(done) == 20:
                os.kill(os.getpid(), signal.SIGKILL if how == "killed" else signal.SIGSTOP)
            return keep(self, value)

        pytest.MonkeyPatch().setattr(distributed.ProcessGroup, "mean", mean)
    train(config, out)


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_run_processes_ends_the_others_if_one_dies_or_hangs(tiny: TinyStore, tmp_path: Path, how: str) -> None:
    config = tiny.config(steps=1000, checkpoint_every=2, evaluate_every=500)
    ends = run_processes(2, one_dies, config, tmp_path / "run", how, folder=tmp_path, patience=100)
    assert "another process of this run ended, or does not answer any more" in ends[0]
    assert "run the same command again" in ends[0]
    assert ends[1] == "exit code -9"
    assert final(tmp_path / "run")["step"] >= 2


def test_join_process_group_does_not_wait_for_processes_that_nobody_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(RunError, match=r"cannot be reached.*torchrun --nproc-per-node"):
        join_process_group()


def test_choose_device_gives_each_process_of_a_machine_its_own_graphics_card(monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", devices.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    second = distributed.ProcessGroup(1, 3)
    assert distributed.choose_device("auto", second) == torch.device("cuda:1") == devices[0]
    assert distributed.choose_device("cpu", second) == torch.device("cpu")
    assert distributed.choose_device("cuda:0", distributed.SINGLE) == torch.device("cuda:0")
    with pytest.raises(ConfigError, match="Set device=cuda"):
        distributed.choose_device("cuda:0", second)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ConfigError, match="2 graphics cards for 3 processes"):
        distributed.choose_device("cuda", second)


@pytest.mark.slow
def test_train_started_by_torchrun(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH | {"steps": 2, "log_every": 1})
    config.save(tmp_path / "config.yaml")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "heart2heart", "train", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "two")]
    ended = subprocess.run([*torchrun, *command], capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("2 steps in") == 1  # one process speaks
    alone = train(config, tmp_path / "alone")
    assert Run.load(tmp_path / "two").directory.record.processes == 2
    one, two = final(alone.path)["network"], final(tmp_path / "two")["network"]
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-4, rtol=1e-3)  # float32: sums differ by processor
