"""From grey levels to logits with a finished network, and the score that selects it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heart2heart.augment import normalise

BATCH = 256
"""Frames a pass; fixed, so that the same frames give the same logits."""


class Classifier(nn.Module):
    """A network with what comes before it: uint8 `(n, size, size)` to float32 logits `(n, classes)`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits of uint8 frames."""
        logits: Tensor = self.network(normalise(pixels)[:, None])
        return logits.float()


@torch.no_grad()
def infer(network: nn.Module, pixels: Tensor) -> Tensor:
    """Return float32 logits `(n, classes)` of uint8 `(n, size, size)`, in one pass, without gradient."""
    logits: Tensor = Classifier(network)(pixels)
    return logits


def balanced_accuracy(logits: Tensor, targets: Tensor) -> float:
    """Return the mean recall over the classes present in `targets`, 0 to 1.

    Args:
        logits: `(n, classes)`.
        targets: int64 `(n,)`, n at least 1.
    """
    right = logits.argmax(-1) == targets
    present = torch.bincount(targets).nonzero()
    recalls = [right[targets == target].double().mean() for target in present]
    return float(torch.stack(recalls).mean())
