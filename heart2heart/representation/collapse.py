"""The collapse monitor: how varied the features of different frames are.

A network without negatives may end by saying the same of every frame. Its loss is then excellent, and its features are
useless.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.representation.config import CollapseConfig
from heart2heart.schema.pretraining import CollapseRecord
from heart2heart.training.augment.batched import normalise
from heart2heart.training.validation import INFERENCE_BATCH

DEAD = 0.01
"""A dimension does not vary if its standard deviation is below this share of the largest one."""


def effective_rank(features: Tensor) -> float:
    """Return the exponential of the entropy of the singular values (Roy and Vetterli 2007), after centring.

    Args:
        features: `(n, d)`, n at least 2.

    Returns:
        1 to d; 1 as well where all rows are equal.

    Examples:
        >>> corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> round(effective_rank(corners), 6), effective_rank(corners[:, :1])
        (2.0, 1.0)
    """
    values = torch.linalg.svdvals((features - features.mean(0)).double())
    if float(values.sum()) <= 0:
        return 1.0
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(torch.exp(-(shares * shares.log()).sum()))


def direction_deviation(features: Tensor) -> float:
    """Return the mean standard deviation of a dimension of the unit vectors, times the root of d (SimSiam, 2021).

    Args:
        features: `(n, d)`.

    Returns:
        0 where all rows point to the same side, about 1 where they point everywhere.

    Examples:
        >>> direction_deviation(torch.tensor([[2.0, 0.0], [5.0, 0.0]]))
        0.0
    """
    units = functional.normalize(features.double(), dim=1)
    return float(units.std(0, correction=0).mean() * math.sqrt(features.shape[1]))


def measure_collapse(features: Tensor) -> CollapseRecord:
    """Return how varied features `(n, d)` are."""
    spread = features.double().std(0, correction=0)
    largest = float(spread.max())
    dead = float((spread < DEAD * largest).double().mean()) if largest > 0 else 1.0
    return CollapseRecord(
        effective_rank=effective_rank(features),
        deviation=direction_deviation(features),
        dead_dimensions=dead,
        dimensions=features.shape[1],
    )


def has_collapsed(measured: CollapseRecord, limits: CollapseConfig) -> bool:
    """Return whether features vary less than the limits allow."""
    return measured.effective_rank < limits.rank or measured.deviation < limits.deviation


CPU_BATCH = 32
"""Frames of a pass on a CPU, whose caches then hold the activations: about twice as fast as 256 frames."""


@torch.no_grad()
def frame_features(encoder: nn.Module, pixels: Tensor) -> Tensor:
    """Return the features of frames as they are, float32 `(n, d)`, in batches of a fixed size.

    Args:
        encoder: From float `(n, 1, size, size)` to features, in evaluation mode.
        pixels: uint8 `(n, size, size)`, n at least 1, on the encoder's device.
    """
    size = CPU_BATCH if pixels.device.type == "cpu" else INFERENCE_BATCH
    parts = [encoder(normalise(part)[:, None]).float() for part in torch.split(pixels, size)]
    return torch.cat(parts)
