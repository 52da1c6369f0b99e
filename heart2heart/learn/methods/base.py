"""What every method is: it names the views it needs of an unlabeled batch, and returns two losses.

A method owns no data, no optimiser and no network, so that any gradient rule, any mixing of the labeled batch and any
loop may stand around it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from heart2heart.config import Config
from heart2heart.learn.losses import CrossEntropy, accuracy

ViewName = Literal["weak", "strong"]


@dataclass(frozen=True)
class Loss:
    """A loss, and what is worth writing down beside it.

    Attributes:
        value: Scalar with its graph.
        metrics: Scalars without gradient, on the same device; their names are columns of `metrics.jsonl`.
    """

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What a method sees of one step.

    Attributes:
        model: The network in training, from frames `(n, channels, size, size)` to logits `(n, classes)`. A method may
            call it as often as it likes, with or without gradient.
        labeled: Labeled frames, weakly augmented and perhaps mixed, `(b, channels, size, size)`.
        targets: Their targets, probabilities `(b, classes)`.
        unlabeled: The views of the unlabeled batch that the method asked for, in that order, each
            `(u, channels, size, size)`.
        criterion: The loss of labeled frames.
    """

    model: Callable[[Tensor], Tensor]
    labeled: Tensor
    targets: Tensor
    unlabeled: tuple[Tensor, ...]
    criterion: CrossEntropy


class Method(Config):
    """A learning method; its fields are its settings, named under `method.params`."""

    title: ClassVar[str]
    """What a reader calls it."""
    views: ClassVar[tuple[ViewName, ...]] = ()
    """Views of each unlabeled batch, each augmented independently; none means that no unlabeled frame is needed."""

    def labeled_loss(self, step: Step) -> Loss:
        """Return the loss of the labeled batch."""
        logits = step.model(step.labeled)
        metrics = {"train_accuracy": accuracy(logits, step.targets)}
        return Loss(step.criterion(logits, step.targets), metrics)

    @abstractmethod
    def unlabeled_loss(self, step: Step) -> Loss | None:
        """Return the loss of the unlabeled batch, not scaled by its weight; None where the method has none."""
