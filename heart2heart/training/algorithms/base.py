"""The base class of algorithms, the data of one step, and the baseline that learns from labels only.

An algorithm names the views that it needs of each unlabeled batch, and returns two losses. It owns no data, optimiser
or network, so that it works with any gradient rule, any mixing of the labeled batch and any loop. What it keeps from
step to step are tensors (`Memory`), which the loop saves with the run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from heart2heart.config import Config
from heart2heart.training.distributed import SINGLE, ProcessGroup
from heart2heart.training.losses import CrossEntropy, accuracy
from heart2heart.training.pseudo_labels import DistributionAlignment

ViewName = Literal["weak", "strong"]
LabeledViewName = Literal["labeled", "strong"]
NetworkFunction = Callable[[Tensor], Tensor]
"""From frames `(n, channels, size, size)` to logits `(n, classes)`."""
Memory = dict[str, Tensor]


@dataclass(frozen=True)
class AlgorithmLoss:
    """A loss, and the scalars that are logged with it.

    Attributes:
        value: Scalar with its graph.
        metrics: Scalars without gradient, on the same device; their names are columns of `metrics.jsonl`.
        per_sample_loss: The loss of each unlabeled frame, `(u,)` with the same graph, of which `value` is the mean;
            None if the loss is not such a mean. A gradient rule that decides frame by frame needs it.
    """

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    per_sample_loss: Tensor | None = None

    @classmethod
    def from_samples(cls, per_sample_loss: Tensor, metrics: Mapping[str, Tensor] | None = None) -> AlgorithmLoss:
        """Return the loss that is the mean of `per_sample_loss`, `(u,)`."""
        return cls(per_sample_loss.mean(), metrics or {}, per_sample_loss)


@dataclass(frozen=True)
class ModelAccess:
    """The forms of the network that an algorithm may call.

    Attributes:
        train: Training mode, with gradient; batch normalisation updates its running statistics.
        no_bn_update: As `train`, but the running statistics are not updated.
        ema: The averaged weights (EMA) in evaluation mode, without gradient.
        ema_features: As `ema`, in one pass: the inputs of the last linear layer, `(n, d)`, and the logits.
        outputs: As `train`, with the algorithm's extra outputs after the classes, `(n, classes + extra)`.
        functional: Takes weights by name and returns the network with them, in training mode, differentiable in them;
            the running statistics are not updated. Missing names keep their present weights.
        functional_outputs: As `functional`, with the algorithm's extra outputs.
        teacher: Takes weights and buffers by name and returns the network with them, in evaluation mode, without
            gradient: a teacher that an algorithm keeps in its memory.
        full_precision: Context in which `train`, `no_bn_update` and `functional` compute in full precision.
            Forward-mode derivatives need it, since those of convolutions fail under autocast.
        weights: The present weights by name, as leaves of the graph.
        cached_logits: Logits that `train` returned without gradient in this step, by the identity of the frames.
    """

    train: NetworkFunction
    no_bn_update: NetworkFunction
    ema: NetworkFunction
    ema_features: Callable[[Tensor], tuple[Tensor, Tensor]]
    outputs: NetworkFunction
    functional: Callable[[Mapping[str, Tensor]], NetworkFunction]
    functional_outputs: Callable[[Mapping[str, Tensor]], NetworkFunction]
    teacher: Callable[[Mapping[str, Tensor]], NetworkFunction]
    full_precision: Callable[[], AbstractContextManager[None]]
    weights: Mapping[str, Tensor]
    cached_logits: Mapping[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class StepContext:
    """The data of one step that an algorithm receives.

    Attributes:
        model_access: The network in training and its average.
        labeled: Labeled frames, weakly augmented and perhaps mixed, `(b, channels, size, size)`.
        targets: Their targets, probabilities `(b, classes)`.
        unlabeled: The unlabeled batch in the views that `Algorithm.views` names, in that order, each
            `(u, channels, size, size)`.
        pool_index: Positions of the unlabeled frames in the pool, int64 `(u,)`.
        criterion: The loss of labeled frames.
        step: Number of the step in the present stage, from 0.
        steps: Length of the present stage.
        lr: Present learning rate.
        memory: The algorithm's own tensors, changed in place.
        generator: Random stream, on the device.
        stage: Number of the stage, from 0.
        weight: Present weight of the unlabeled loss.
        group: The processes that train together.
        alignment: Distribution alignment of pseudo-labels, if configured.
        callbacks: Functions that run after the update of the weights.
    """

    model_access: ModelAccess
    labeled: Tensor
    targets: Tensor
    unlabeled: tuple[Tensor, ...]
    pool_index: Tensor
    criterion: CrossEntropy
    step: int
    steps: int
    lr: float
    memory: Memory
    generator: torch.Generator
    stage: int = 0
    weight: float = 1.0
    group: ProcessGroup = SINGLE
    alignment: DistributionAlignment | None = None
    callbacks: list[Callable[[], None]] = field(default_factory=list)

    @property
    def model(self) -> NetworkFunction:
        """The network in training."""
        return self.model_access.train

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.targets.shape[1]

    def gaussian_noise(self, frames: Tensor) -> Tensor:
        """Return standard normal noise of the shape of `frames`, the same for any number of processes."""
        shape = (len(frames) * self.group.size, *frames.shape[1:])
        drawn = torch.randn(shape, generator=self.generator, device=frames.device, dtype=frames.dtype)
        return drawn[self.group.rows(len(drawn))]

    def align(self, probabilities: Tensor) -> Tensor:
        """Return probabilities `(u, classes)` after distribution alignment, or unchanged if none is configured."""
        alignment, memory, group = self.alignment, self.memory, self.group
        if alignment is None:
            return probabilities
        mean = probabilities.detach().mean(0)
        self.on_step_end(lambda: alignment.update(group.mean(mean), memory))
        return alignment.align(probabilities, memory)

    def on_step_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the update of the weights; changes to the memory belong there.

        A gradient rule may compute the unlabeled loss again within the step. It then sees the same memory, and no
        change is made twice.
        """
        self.callbacks.append(callback)


class TrainerHandle(Protocol):
    """The operations on the trainer that an algorithm may call at the start of a stage."""

    memory: Memory

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return copies of the averaged weights and buffers by name."""

    def reset_weights(self) -> None:
        """Restore the initial weights, and clear the optimiser's state and the average."""


class Algorithm(Config):
    """A learning algorithm; its fields are its settings, which a configuration gives under `method.params`."""

    title: ClassVar[str]
    """Name in reports and error messages."""
    views: ClassVar[tuple[ViewName, ...]] = ()
    """Views of each unlabeled batch, each augmented independently; none means that no unlabeled frame is needed."""
    labeled_view: ClassVar[LabeledViewName] = "labeled"
    """Policy of the labeled frames: their own (`augmentation.labeled`), or the strong view."""
    mixes_labeled: ClassVar[bool] = False
    """Whether it mixes the labeled batch itself; Fix-A-Step's mixing then cannot be combined with it."""
    uses_alignment: ClassVar[bool] = False
    """Whether its pseudo-labels go through `StepContext.align`, so that distribution alignment can be configured."""
    joint_views: ClassVar[int | None] = None
    """Number of views that pass with the labeled frames if batch normalisation is joint; None means all views."""
    pool_parts: ClassVar[int] = 1
    """Number of parts that the pool is split into at random; `pool_part` returns the part of a stage."""

    def extra_outputs(self, classes: int) -> int:
        """Return the number of outputs that the network has after the classes; they are dropped after training."""
        return 0

    def stages(self, steps: int) -> tuple[int, ...]:
        """Return the first step of each stage, ascending from 0; the schedules start anew at each stage."""
        return (0,)

    def pool_part(self, stage: int) -> int:
        """Return the part of the pool that a stage draws from, from 0."""
        return 0

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the tensors that the algorithm keeps between steps, as they are before the first step, on the CPU.

        Args:
            pool: Number of frames in the pool.
            classes: Number of classes.
            weights: The network's weights and buffers by name.
        """
        return {}

    def on_stage_start(self, stage: int, trainer: TrainerHandle) -> None:
        """Prepare the trainer at the first step of a stage, from 0."""

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Return the step of both losses; an algorithm that mixes replaces the batches here."""
        return step

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the loss of the labeled batch."""
        logits = step.model(step.labeled)
        metrics = {"train_accuracy": accuracy(logits, step.targets)}
        return AlgorithmLoss(step.criterion(logits, step.targets), metrics)

    @abstractmethod
    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return the loss of the unlabeled batch, not scaled by its weight; None if there is none."""


class LabelsOnly(Algorithm):
    """Supervised learning from the labeled frames; unlabeled frames are not read."""

    title: ClassVar[str] = "labels only"

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return None: there is no unlabeled loss."""
        return None
