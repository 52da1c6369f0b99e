"""Self-training: a model, or an earlier one as its teacher, gives the labels of the pool.

Pseudo-Label (Lee, ICML workshop on challenges in representation learning, 2013), with a threshold.

The threshold is that of Oliver et al. (NeurIPS 2018), whose setting Fix-A-Step follows. Below it the released code
takes the prediction itself as a soft target without gradient. That cross-entropy has no gradient, so it is left out.

Noisy Student: a teacher labels the pool, a new student learns from it under noise, and becomes the next teacher.

Xie, Luong, Hovy and Le, CVPR 2020, "Self-training with Noisy Student improves ImageNet classification", algorithm 1 and
section 2. Departures: the teacher labels the weak view of a frame when the frame is drawn, not the whole pool
beforehand; the student has the teacher's size; classes are balanced by weights, which on average equals the paper's
repeating and dropping of images.

ATSO: asynchronous teacher and student; no model labels the half of the pool that it was trained on.

Huo, Xie, He, Yang, Zhou, Li and Tian, CVPR 2021, "ATSO: Asynchronous teacher-student optimization for semi-supervised
image segmentation". A model that learns from its own labels keeps its errors ("lazy mimicking"). The pool is therefore
split into two halves that take turns, and no student starts from its teacher's weights. Departures: frames are
classified, not segmented; the teacher labels the weak view of a frame when the frame is drawn, and the student learns
the strong view.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, TrainerHandle, ViewName
from heart2heart.training.algorithms.memory import equal_stages, teacher_memory, teacher_pseudo_labels, update_teacher
from heart2heart.training.algorithms.weak_to_strong import confidence_mask, pseudo_label_loss


class PseudoLabel(Algorithm):
    """A confident prediction is the label of the same view; the loss is `weak_to_strong.pseudo_label_loss`."""

    title: ClassVar[str] = "Pseudo-Label"
    views: ClassVar[tuple[ViewName, ...]] = ("weak",)
    uses_alignment: ClassVar[bool] = True

    threshold: float = Field(0.95, ge=0, le=1)
    """Confidence from which a prediction counts as a label."""
    scale_by_classes: bool = False
    """Multiply the loss by the number of classes, as the released code of Fix-A-Step does to the hot entry."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the cross-entropy against the pseudo-labels, averaged over the whole batch (equation 15)."""
        (frames,) = step.unlabeled
        logits = step.model(frames)
        probabilities = step.align(logits.detach().softmax(-1))
        loss = pseudo_label_loss(logits, probabilities, self.threshold)
        confident = confidence_mask(probabilities, self.threshold)
        factor = step.classes if self.scale_by_classes else 1
        return AlgorithmLoss.from_samples(factor * loss, {"pseudo_label_rate": confident.mean()})


MAX_CLASS_WEIGHT = 10.0
"""Largest weight of a frame of a rare class, so that no single frame dominates its batch."""


class NoisyStudent(Algorithm):
    """Stages of equal length: the first learns from labels only, each later one from the model before it.

    The student starts from the initial weights. Its noise is the strong view, with the network's dropout if it has any.
    """

    title: ClassVar[str] = "Noisy Student"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    generations: int = Field(3, ge=1)
    """Students, one after another."""
    labels: Literal["soft", "hard"] = "soft"
    """Whether the student learns the teacher's probabilities, or its most probable class."""
    threshold: float = Field(0.3, ge=0, le=1)
    """Confidence of the teacher from which a frame has a loss."""
    balance: bool = True
    """Weight frames so that each class that the teacher predicts has the same total weight."""

    def stages(self, steps: int) -> tuple[int, ...]:
        """Return the first step of each stage."""
        return equal_stages(1 + self.generations, steps, self.title)

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the tensors of the teacher, and how often it predicted each class, counted from 1."""
        return teacher_memory(weights) | {"named": torch.ones(classes)}

    def on_stage_start(self, stage: int, trainer: TrainerHandle) -> None:
        """Make the last student the teacher, and restore the initial weights."""
        if stage:
            update_teacher(trainer)
            trainer.reset_weights()
            trainer.memory["named"].fill_(1)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return the cross-entropy on the strong views against the teacher, averaged over the whole batch."""
        if step.stage == 0:
            return None
        weak, strong = step.unlabeled
        probabilities = teacher_pseudo_labels(step, weak)
        label = probabilities.argmax(-1)
        confident = confidence_mask(probabilities, self.threshold)
        hard = functional.one_hot(label, step.classes).to(probabilities.dtype)
        weight = confident
        if self.balance:
            weight = confident * balancing_weights(step.memory["named"])[label].to(probabilities.dtype)
            counts = (confident[:, None] * hard).sum(0)
            step.on_step_end(lambda: self.count(step.memory, step.group.mean(counts) * step.group.size))
        target = probabilities if self.labels == "soft" else hard
        loss = functional.cross_entropy(step.model(strong), target, reduction="none") * weight
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean()})

    @torch.no_grad()
    def count(self, memory: Memory, counts: Tensor) -> None:
        """Add how often the teacher predicted each class in a batch, `(classes,)`."""
        memory["named"] += counts.to(memory["named"].dtype)


def balancing_weights(counts: Tensor) -> Tensor:
    """Return the weight of a frame of each class, `(classes,)`, so that all classes have the same total weight.

    Args:
        counts: Number of frames of each class, `(classes,)`; a weight is at most `MAX_CLASS_WEIGHT`.

    Examples:
        >>> balancing_weights(torch.tensor([1.0, 3.0]))
        tensor([2.0000, 0.6667])
    """
    return (counts.mean() / counts).clamp(max=MAX_CLASS_WEIGHT)


class ATSO(Algorithm):
    """Stages of equal length: labels only, then the two halves of the pool in turn.

    Each stage learns the pseudo-labels of the model of the stage before: trained on labels only at first, later on the
    other half. The loss is `weak_to_strong.pseudo_label_loss`.
    """

    title: ClassVar[str] = "ATSO"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True
    pool_parts: ClassVar[int] = 2

    rounds: int = Field(2, ge=1)
    """Number of stages for each half of the pool."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Confidence of the teacher from which its prediction counts as a label; the paper takes all."""
    continual: bool = False
    """Start each student from its teacher's weights, which the paper advises against."""

    def stages(self, steps: int) -> tuple[int, ...]:
        """Return the first step of each stage."""
        return equal_stages(1 + 2 * self.rounds, steps, self.title)

    def pool_part(self, stage: int) -> int:
        """Return the half of the pool that a stage draws from; the first stage has no unlabeled loss."""
        return (stage + 1) % 2

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return the tensors of the teacher."""
        return teacher_memory(weights)

    def on_stage_start(self, stage: int, trainer: TrainerHandle) -> None:
        """Make the model of the last stage the teacher."""
        if stage:
            update_teacher(trainer)
            if not self.continual:
                trainer.reset_weights()

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return the cross-entropy on the strong views against the teacher's labels, averaged over the whole batch."""
        if step.stage == 0:
            return None
        weak, strong = step.unlabeled
        probabilities = teacher_pseudo_labels(step, weak)
        loss = pseudo_label_loss(step.model(strong), probabilities, self.threshold)
        confident = confidence_mask(probabilities, self.threshold)
        return AlgorithmLoss.from_samples(loss, {"pseudo_label_rate": confident.mean()})
