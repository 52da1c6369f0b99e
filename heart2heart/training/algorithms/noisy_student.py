"""Noisy Student: a teacher labels the pool, a new student learns from it under noise, and becomes the next teacher.

Xie, Luong, Hovy and Le, CVPR 2020, "Self-training with Noisy Student improves ImageNet classification", algorithm 1 and
section 2. Departures: the teacher labels the weak view of a frame when it comes up, not the whole pool beforehand; the
student is of the teacher's size; classes are balanced by weights, which is what the paper's repeating and leaving out
of pictures amounts to on average.
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

MAX_CLASS_WEIGHT = 10.0
"""Largest weight of a frame of a rare class, so that no single frame outweighs its batch."""


class NoisyStudent(Algorithm):
    """Stages of equal length: the first learns from labels only, each later one from the model before it.

    The student begins anew. Its noise is the strong view, with the network's dropout if that has any.
    """

    title: ClassVar[str] = "Noisy Student"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True

    generations: int = Field(3, ge=1)
    """Students, one after another."""
    labels: Literal["soft", "hard"] = "soft"
    """Whether the student learns the teacher's probabilities, or its first choice."""
    threshold: float = Field(0.3, ge=0, le=1)
    """Confidence of the teacher from which a frame counts."""
    balance: bool = True
    """Weight frames so that each class that the teacher names counts alike."""

    def stages(self, steps: int) -> tuple[int, ...]:
        """See `Method.stages`."""
        return equal_stages(1 + self.generations, steps, self.title)

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return room for the teacher, and how often it named each class, counted from 1."""
        return teacher_memory(weights) | {"named": torch.ones(classes)}

    def on_stage_start(self, stage: int, trainer: TrainerHandle) -> None:
        """Make the last student the teacher, and begin anew."""
        if stage:
            update_teacher(trainer)
            trainer.reset_weights()
            trainer.memory["named"].fill_(1)

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return the cross-entropy on the strong views against the teacher, averaged over the whole batch."""
        if step.stage == 0:
            return None
        weak, strong = step.unlabeled
        guess = teacher_pseudo_labels(step, weak)
        confidence, label = guess.max(-1)
        confident = (confidence >= self.threshold).to(guess.dtype)
        hard = functional.one_hot(label, step.classes).to(guess.dtype)
        weight = confident
        if self.balance:
            weight = confident * self._balance(step.memory["named"])[label].to(guess.dtype)
            counts = (confident[:, None] * hard).sum(0)
            step.on_step_end(lambda: self.count(step.memory, step.group.mean(counts) * step.group.size))
        target = guess if self.labels == "soft" else hard
        each = functional.cross_entropy(step.model(strong), target, reduction="none") * weight
        return AlgorithmLoss(each.mean(), {"pseudo_label_rate": confident.mean()}, each)

    @torch.no_grad()
    def count(self, memory: Memory, counts: Tensor) -> None:
        """Count how often the teacher named each class in a batch, `(classes,)`."""
        memory["named"] += counts.to(memory["named"].dtype)

    @staticmethod
    def _balance(named: Tensor) -> Tensor:
        """Return weights `(classes,)` whose mean over the frames named so far is 1, up to the limit."""
        return (named.mean() / named).clamp(max=MAX_CLASS_WEIGHT)
