"""Computes logits without gradient, and scores weights on the source validation frames.

Weights are selected on a fixed set of acoustic perturbations of these frames too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn import functional

from heart2heart.training.adaptation_check import mutual_information
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.perturbation import PERTURBATIONS, perturb
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import FramePool, TrainData
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.labeled_statistics import VALIDATION_FRAMES, LabeledStatistics
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.selection import ValidationScore, Weights
from heart2heart.training.train_step import Trainer

SELECTION_LEVEL = 0.5
"""Level of every perturbation, of the range of its kind."""
PERTURBED_FRAMES = 256
"""Most frames that each kind perturbs."""


class PerturbedFrames:
    """Validation frames under each kind of perturbation, the same for every run of a split.

    Of more than `PERTURBED_FRAMES` frames an even sample of every class is taken. The frames of a kind are computed
    when they are first needed, and kept.

    Args:
        pool: The validation frames.
        targets: int64 `(n,)`, their class indices, on the CPU.

    Attributes:
        kinds: The kinds of perturbation.
        index: Positions of the perturbed frames in the pool, int64, on the CPU.
    """

    def __init__(self, pool: FramePool, targets: Tensor) -> None:
        self.pool, self.kinds = pool, tuple(PERTURBATIONS)
        by_class = targets.argsort(stable=True)
        count = min(len(by_class), PERTURBED_FRAMES)
        self.index = by_class[torch.arange(count) * len(by_class) // count]
        self._frames: dict[str, Tensor] = {}

    def take(self, kind: str) -> Tensor:
        """Return the frames under a kind of perturbation, uint8 `(n, size, size)` on the device."""
        if kind not in self._frames:
            frames = self.pool.take(self.index.to(self.pool.index_device))
            self._frames[kind] = perturb(kind, SELECTION_LEVEL, frames)
        return self._frames[kind]


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


def balanced_loss(logits: Tensor, targets: Tensor) -> float:
    """Return the mean over the classes present in `targets` of their mean cross-entropy.

    Args:
        logits: `(n, classes)`.
        targets: int64 `(n,)`, n at least 1.
    """
    each = functional.cross_entropy(logits.double(), targets, reduction="none")
    present = torch.bincount(targets).nonzero()
    return float(torch.stack([each[targets == target].mean() for target in present]).mean())


def balanced_information(logits: Tensor, targets: Tensor) -> float:
    """Return the information that predictions hold, as a share of that of certain predictions of equal views, 0 to 1.

    Args:
        logits: `(n, classes)`, at least two classes.
        targets: int64 `(n,)`, n at least 1; every class among them counts once.
    """
    counts = torch.bincount(targets)
    weights = 1 / (counts[targets].double() * (counts > 0).sum())
    probabilities = logits.double().softmax(-1).numpy()
    return mutual_information(probabilities, weights.numpy()) / math.log(logits.shape[-1])


class ValidationFrames:
    """The labeled validation frames of the source hospitals, as they are and, where selection asks for it, perturbed.

    Args:
        data: The frames of the run.
        config: Its configuration.
        device: Device of the validation.
        group: The processes, which share the frames.
    """

    def __init__(
        self, data: TrainData, config: TrainConfig, device: torch.device, group: ProcessGroup = SINGLE
    ) -> None:
        self.pool = FramePool(data.frames, data.validation.rows, device, config.pool.placement)
        self.targets = torch.from_numpy(data.validation.targets)
        self.perturbed = PerturbedFrames(self.pool, self.targets) if config.selection == "perturbed" else None
        self.classes, self.device, self.group = len(data.classes), device, group

    def score(self, network: nn.Module) -> ValidationScore:
        """Return the score of a network; every process must call this.

        Args:
            network: From float `(n, channels, size, size)` to logits `(n, classes)`, in evaluation mode.
        """
        logits = self.logits(network)
        accuracy, loss = balanced_accuracy(logits, self.targets), balanced_loss(logits, self.targets)
        frames = self.perturbed
        if frames is None:
            return ValidationScore(accuracy, loss)
        kinds, targets = frames.kinds, self.targets[frames.index]
        logits = self._logits(network, [len(targets)] * len(kinds), lambda index: frames.take(kinds[index]))
        perturbed = torch.split(logits, len(targets))
        return ValidationScore(
            accuracy,
            loss,
            perturbed=fmean([accuracy, *(balanced_accuracy(each, targets) for each in perturbed)]),
            perturbed_loss=fmean([loss, *(balanced_loss(each, targets) for each in perturbed)]),
        )

    def information(self, network: nn.Module) -> float:
        """Return `balanced_information` of a network's predictions; every process must call this."""
        return balanced_information(self.logits(network), self.targets)

    def logits(self, network: nn.Module) -> Tensor:
        """Return the logits of all frames as they are, `(n, classes)`, on the CPU; every process must call this."""
        parts = torch.split(torch.arange(len(self.pool), device=self.pool.index_device), INFERENCE_BATCH)
        return self._logits(network, [len(part) for part in parts], lambda index: self.pool.take(parts[index]))

    def _logits(self, network: nn.Module, sizes: Sequence[int], batch: Callable[[int], Tensor]) -> Tensor:
        """Return the logits of some batches in order, on the CPU; the processes share the batches."""
        logits = torch.zeros(sum(sizes), self.classes, device=self.device)
        # Whole batches, so that the same frames give the same logits for any number of processes.
        for index, part in enumerate(torch.split(logits, list(sizes))):
            if index % self.group.size == self.group.rank:
                part.copy_(infer(network, batch(index)))
        return self.group.sum(logits).cpu()


class Validator:
    """Scores the averaged weights of a run in training.

    Args:
        trainer: Its averaged weights are scored.
        frames: The validation frames.
        statistics: Records batch-norm statistics of what is scored; None scores the running statistics.

    Attributes:
        network: The network that was scored last, with the weights and statistics that it was scored with.
    """

    def __init__(self, trainer: Trainer, frames: ValidationFrames, statistics: LabeledStatistics | None = None) -> None:
        self.ema, self.network = trainer.ema, deepcopy(trainer.ema.network)
        self.frames, self.statistics, self.classes = frames, statistics, trainer.classes

    def score(self, weights: Weights | None = None) -> ValidationScore:
        """Return the score of the averaged weights, or of others; every process must call this.

        Args:
            weights: Weights and buffers by name; None takes the trainer's averaged weights.
        """
        self.network.load_state_dict(self.ema.state_dict() if weights is None else weights)
        if self.statistics is not None:
            self.statistics.record(self.network, frames=VALIDATION_FRAMES)
        return self.frames.score(ClassOutputs(self.network, self.classes))

    def information(self, weights: Weights) -> float:
        """Return the information that predictions with these weights hold, 0 to 1; every process must call this."""
        self.network.load_state_dict(weights)
        return self.frames.information(ClassOutputs(self.network, self.classes))
