"""Runs in double precision: sums in another order then differ by far less than any tolerance."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heart2heart.training import initial_network, train
from heart2heart.training.config import TrainConfig
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import AugmentedBatch, Trainer


def train_in_double(config: TrainConfig, out: Path) -> None:
    """Train a run whose network, frames and targets are float64; the augmentation is float32, as in every run."""
    keep = Trainer.augment

    def build(name: str, **options: Any) -> nn.Module:
        network = build_network(name, **options).double()
        network.register_forward_pre_hook(lambda _, inputs: tuple(frames.double() for frames in inputs))  # to validate
        return network

    def augment(self: Trainer, *arguments: Any) -> AugmentedBatch:
        views = keep(self, *arguments)
        return AugmentedBatch(**{field.name: _double(getattr(views, field.name)) for field in fields(views)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initial_network, "build_network", build)
        patch.setattr(Trainer, "augment", augment)
        train.advance(config, out)


def _double(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    return tuple(_double(part) for part in value)


def assert_same_weights(one: dict[str, Any], two: dict[str, Any], *, tolerance: float = 1e-8) -> None:
    """Assert that two checkpoints hold the same weights, averaged or not, which are float64."""
    for part in ("network", "ema"):
        for name, value in one[part].items():
            assert value.dtype in (torch.float64, torch.int64)
            torch.testing.assert_close(two[part][name], value, atol=tolerance, rtol=tolerance, msg=f"{part}: {name}")
