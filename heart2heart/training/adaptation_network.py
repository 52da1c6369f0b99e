"""The network of an adapted run: its weights and the source's in one checkpoint, and its adjusted logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.training.model_access import ClassOutputs

SOURCE_WEIGHTS = "source_weights"
"""Key of a checkpoint: the weights of the source run that adaptation changed, by name."""


class AdjustedLogits(nn.Module):
    """A network whose logits are divided by a temperature and shifted: `logits / temperature + offset`.

    Args:
        network: The network.
        temperature: Above 0.
        offset: One number a class.
    """

    offset: Tensor

    def __init__(self, network: nn.Module, temperature: float, offset: Sequence[float]) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32))

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits `(n, classes)`."""
        logits: Tensor = self.network(frames)
        return logits / self.temperature + self.offset


def inner_network(network: nn.Module) -> nn.Module:
    """Return the network that a checkpoint's weights belong to."""
    while isinstance(network, AdjustedLogits | ClassOutputs):
        network = network.network
    return network


def adapted_checkpoint(source: Mapping[str, Tensor], network: nn.Module, step: int) -> dict[str, Any]:
    """Return the content of an adapted run's checkpoint.

    Args:
        source: Weights of the source run.
        network: The adapted network.
        step: Step of the source run whose weights they are.
    """
    weights = {name: value.detach().cpu().clone() for name, value in inner_network(network).state_dict().items()}
    changed = {name: value for name, value in source.items() if not torch.equal(value, weights[name])}
    return {"weights": weights, SOURCE_WEIGHTS: changed, "step": step}


def checkpoint_weights(content: Mapping[str, Any], *, adapted: bool) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, as they are (`adapted`) or as they were at the source."""
    weights: dict[str, Tensor] = content["weights"]
    return weights if adapted else weights | content.get(SOURCE_WEIGHTS, {})
