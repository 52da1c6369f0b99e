"""What methods remember, and look ahead to, is that of the whole batch: two processes take the steps of one."""

from __future__ import annotations

from pathlib import Path

import torch

from heart2heart.testing.processes import run_processes
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import checkpoint
from heart2heart.training.config import TrainConfig
from tests.training.double_precision import assert_same_weights, train_in_double

METHODS = {
    "noisy_student": {"generations": 1, "threshold": 0.26},
    "ds3l": {"lr": 0.01},
    "mtcf": {"warmup": 0.5, "threshold": 0.3},
}
"""A method of stages, one that looks a step ahead, and one with an output and a score for each frame of the pool."""


def train_each(configs: dict[str, TrainConfig], folder: Path) -> None:
    for name, config in configs.items():
        train_in_double(config, folder / name)


def test_train_in_two_processes_gives_the_memory_of_one(tiny: TinyStore, tmp_path: Path) -> None:
    configs = {
        name: tiny.config(method={"name": name, "params": params}, steps=2, evaluate_every=2, log_every=2)
        for name, params in METHODS.items()
    }
    train_each(configs, tmp_path / "alone")
    assert run_processes(2, train_each, configs, tmp_path / "two", folder=tmp_path) == ["", ""]
    for name in METHODS:
        one, two = (checkpoint.load(tmp_path / kind / name / "checkpoints" / "last.pt") for kind in ("alone", "two"))
        assert_same_weights(one, two, tolerance=1e-6)  # what methods remember is float32
        for kept, value in one["memory"]["method"].items():
            torch.testing.assert_close(
                two["memory"]["method"][kept], value, atol=1e-4, rtol=1e-3, msg=f"{name}: {kept}"
            )
