"""What every method is: it names the views it needs of an unlabeled batch, and returns two losses.

A method owns no data, no optimiser and no network, so that any gradient rule, any mixing of the labeled batch and any
loop may stand around it. What it must remember from step to step lies in tensors that the loop saves with the run.
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
NetworkFunction = Callable[[Tensor], Tensor]
"""From frames `(n, channels, size, size)` to logits `(n, classes)`."""
Memory = dict[str, Tensor]


@dataclass(frozen=True)
class AlgorithmLoss:
    """A loss, and what is worth writing down beside it.

    Attributes:
        value: Scalar with its graph.
        metrics: Scalars without gradient, on the same device; their names are columns of `metrics.jsonl`.
        per_sample_loss: The loss of each unlabeled frame, `(u,)` with the same graph, of which `value` is the mean; None where it
            is no such mean. A rule that decides frame by frame needs it.
    """

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    per_sample_loss: Tensor | None = None


@dataclass(frozen=True)
class ModelAccess:
    """The network as a method may ask it.

    Attributes:
        train: In training mode, with gradient; batch normalisation records what it sees.
        no_bn_update: The same, but batch normalisation records nothing.
        ema: The averaged weights (EMA) in evaluation mode, without gradient.
        outputs: As `train`, with the method's additional outputs behind the classes, `(n, classes + extra)`.
        functional: Gives the network in training mode with other weights by name, differentiable in them, recording
            nothing; names that are missing keep their present weights.
        functional_outputs: As `functional`, with the method's additional outputs.
        teacher: Gives the network in evaluation mode, without gradient, with weights and buffers by name: those of a
            teacher that a method keeps in its memory.
        full_precision: Within it `train`, `no_bn_update` and `functional` do not lower their precision: what asks for
            forward-mode derivatives must, since those of convolutions fail under autocast.
        weights: The present weights by name, as leaves of the graph.
        cached_logits: What `train` answered without gradient in this step, by the identity of the frames.
    """

    train: NetworkFunction
    no_bn_update: NetworkFunction
    ema: NetworkFunction
    outputs: NetworkFunction
    functional: Callable[[Mapping[str, Tensor]], NetworkFunction]
    functional_outputs: Callable[[Mapping[str, Tensor]], NetworkFunction]
    teacher: Callable[[Mapping[str, Tensor]], NetworkFunction]
    full_precision: Callable[[], AbstractContextManager[None]]
    weights: Mapping[str, Tensor]
    cached_logits: Mapping[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class StepContext:
    """What a method sees of one step.

    Attributes:
        model_access: The network in training and its average.
        labeled: Labeled frames, weakly augmented and perhaps mixed, `(b, channels, size, size)`.
        targets: Their targets, probabilities `(b, classes)`.
        unlabeled: The views of the unlabeled batch that the method asked for, in that order, each
            `(u, channels, size, size)`.
        pool_index: Places of the unlabeled frames in the pool, int64 `(u,)`.
        criterion: The loss of labeled frames.
        step: Which step of the present stage, from 0.
        steps: Length of the present stage.
        lr: Present learning rate.
        memory: The method's own tensors, changed in place.
        generator: A stream of chance on the device.
        stage: Which stage, from 0.
        weight: Present weight of the unlabeled loss.
        group: The other processes, if any.
        alignment: Distribution alignment of guesses, if it is configured.
        callbacks: What is due when the step is done.
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
        """Return standard normal noise like `frames`, the same whatever the number of processes."""
        everyone = (len(frames) * self.group.size, *frames.shape[1:])
        drawn = torch.randn(everyone, generator=self.generator, device=frames.device, dtype=frames.dtype)
        return drawn[self.group.rows(len(drawn))]

    def align(self, probabilities: Tensor) -> Tensor:
        """Return guesses of the classes, probabilities `(u, classes)`, aligned if that is configured."""
        alignment, memory, world = self.alignment, self.memory, self.group
        if alignment is None:
            return probabilities
        mean = probabilities.detach().mean(0)
        self.on_step_end(lambda: alignment.update(world.mean(mean), memory))
        return alignment.align(probabilities, memory)

    def on_step_end(self, callback: Callable[[], None]) -> None:
        """Have `callback` done when the step is done: what changes the memory, so that within a step it stays as it is.

        A rule that has the loss computed again sees the same memory then, and nothing is remembered twice.
        """
        self.callbacks.append(callback)


class TrainerHandle(Protocol):
    """What a method may do between steps, at the beginning of a stage."""

    memory: Memory

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return copies of the averaged weights and buffers by name."""

    def reset_weights(self) -> None:
        """Draw the weights anew, and forget the optimiser's state and the average."""


class Algorithm(Config):
    """A learning method; its fields are its settings, named under `method.params`."""

    title: ClassVar[str]
    """What a reader calls it."""
    views: ClassVar[tuple[ViewName, ...]] = ()
    """Views of each unlabeled batch, each augmented independently; none means that no unlabeled frame is needed."""
    mixes_labeled: ClassVar[bool] = False
    """Whether it mixes the labeled batch itself, so that Fix-A-Step's mixing may not stand before it."""
    uses_alignment: ClassVar[bool] = False
    """Whether its guesses go through `Step.align`, so that distribution alignment has something to align."""
    joint_views: ClassVar[int | None] = None
    """How many of the views pass with the labeled frames where batch normalisation is joint; None is all of them."""
    pool_parts: ClassVar[int] = 1
    """Parts that the pool is split into at random; `part` says which one a step draws from."""

    def extra_outputs(self, classes: int) -> int:
        """Return how many outputs the network has behind those of the classes; they are dropped after training."""
        return 0

    def stages(self, steps: int) -> tuple[int, ...]:
        """Return the steps at which stages begin, ascending from 0; rate and ramps run anew over each."""
        return (0,)

    def pool_part(self, stage: int) -> int:
        """Return the part of the pool that a stage draws from."""
        return 0

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return what the method remembers, as it is before the first step, on the CPU.

        Args:
            pool: Frames in the pool.
            classes: Number of classes.
            weights: The network's weights and buffers by name.
        """
        return {}

    def on_stage_start(self, stage: int, trainer: TrainerHandle) -> None:
        """Do what is due at the beginning of a stage, from 0."""

    def prepare_batch(self, step: StepContext) -> StepContext:
        """Return the step that both losses see; a method that mixes replaces the batches here."""
        return step

    def labeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the loss of the labeled batch."""
        logits = step.model(step.labeled)
        metrics = {"train_accuracy": accuracy(logits, step.targets)}
        return AlgorithmLoss(step.criterion(logits, step.targets), metrics)

    @abstractmethod
    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return the loss of the unlabeled batch, not scaled by its weight; None where the method has none."""
