"""Networks that are made of trained ones: the ensemble of several, and the network of an adapted run.

An adapted run keeps its weights and the source's in one checkpoint, and may adjust its logits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from heart2heart.training.model_access import ClassOutputs


class Ensemble(nn.Module):
    """The mean of several networks' probabilities, as logits.

    Args:
        members: Networks from float `(n, channels, size, size)` to logits `(n, classes)`, or more outputs after those.
        classes: Number of classes.

    Examples:
        >>> certain, undecided = nn.Linear(1, 2), nn.Linear(1, 2)
        >>> for member, bias in ((certain, (0.0, -50.0)), (undecided, (0.0, 0.0))):
        ...     member.load_state_dict({"weight": torch.zeros(2, 1), "bias": torch.tensor(bias)})
        <All keys matched successfully>
        <All keys matched successfully>
        >>> Ensemble([certain, undecided], classes=2)(torch.zeros(1, 1)).softmax(-1)
        tensor([[0.7500, 0.2500]], grad_fn=<SoftmaxBackward0>)
    """

    def __init__(self, members: Sequence[nn.Module], classes: int) -> None:
        super().__init__()
        self.members, self.classes = nn.ModuleList(members), classes

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities, `(n, classes)`."""
        each = torch.stack([member(frames)[:, : self.classes].float().log_softmax(-1) for member in self.members])
        return each.logsumexp(0) - math.log(len(self.members))


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
