"""Computes logits without gradient, scores the source validation frames, and keeps the best averaged weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heart2heart.training.augment.batched import normalise
from heart2heart.training.data import FramePool, TrainData
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.train_step import Trainer

INFERENCE_BATCH = 256
"""Frames per pass; fixed, so that the same frames give the same logits."""


class PixelClassifier(nn.Module):
    """A network with its normalisation: uint8 `(n, size, size)` to float32 logits `(n, classes)`."""

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
    logits: Tensor = PixelClassifier(network)(pixels)
    return logits


def balanced_accuracy(logits: Tensor, targets: Tensor) -> float:
    """Return the mean recall over the classes present in `targets`, 0 to 1.

    Args:
        logits: `(n, classes)`.
        targets: int64 `(n,)`, n at least 1.
    """
    correct = logits.argmax(-1) == targets
    present = torch.bincount(targets).nonzero()
    recalls = [correct[targets == target].double().mean() for target in present]
    return float(torch.stack(recalls).mean())


@dataclass
class BestWeights:
    """The best weights so far, kept on the CPU and in every checkpoint, so that a resumed run selects the same.

    Attributes:
        step: Step of these weights.
        score: Their balanced accuracy, 0 to 1.
        weights: By name; None before the first validation.
        stale: Number of validations since.
    """

    step: int = 0
    score: float = -1.0
    weights: dict[str, Tensor] | None = None
    stale: int = 0

    def update(self, step: int, score: float, network: nn.Module) -> None:
        """Keep the weights if they are better; of equal ones the first is kept."""
        if score <= self.score:
            self.stale += 1
            return
        self.weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        self.step, self.score, self.stale = step, score, 0


class Validator:
    """The labeled validation frames of the source hospitals.

    Args:
        data: The frames of the run.
        trainer: Its averaged weights are scored.
        device: Device of the validation.
    """

    def __init__(self, data: TrainData, trainer: Trainer, device: torch.device) -> None:
        self.pool = FramePool(data.frames, data.validation.rows, device, trainer.config.pool.placement)
        self.targets = torch.from_numpy(data.validation.targets)
        self.network = ClassOutputs(trainer.ema.network, trainer.classes)
        self.group, self.classes, self.device = trainer.group, trainer.classes, device

    def score(self) -> float:
        """Return the balanced accuracy of the averaged weights, 0 to 1; the processes share the frames."""
        logits = torch.zeros(len(self.pool), self.classes, device=self.device)
        parts = torch.split(torch.arange(len(self.pool), device=self.pool.index_device), INFERENCE_BATCH)
        # Whole batches, so that the same frames give the same logits for any number of processes.
        for batch_index in range(self.group.rank, len(parts), self.group.size):
            start = batch_index * INFERENCE_BATCH
            logits[start : start + INFERENCE_BATCH] = infer(self.network, self.pool.take(parts[batch_index]))
        return balanced_accuracy(self.group.sum(logits).cpu(), self.targets)
