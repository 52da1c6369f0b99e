"""ATSO: asynchronous teacher and student; no model labels the half of the pool that it was trained on.

Huo, Xie, He, Yang, Zhou, Li and Tian, CVPR 2021, "ATSO: Asynchronous teacher-student optimization for semi-supervised
image segmentation". A model that learns from its own labels keeps its errors ("lazy mimicking"). The pool is therefore
split into two halves that take turns, and no student starts from its teacher's weights. Departures: frames are
classified, not segmented; the teacher labels the weak view of a frame when the frame is drawn, and the student learns
the strong view.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, TrainerHandle, ViewName
from heart2heart.training.algorithms.fixmatch import confidence_mask, pseudo_label_loss
from heart2heart.training.algorithms.memory import equal_stages, teacher_memory, teacher_pseudo_labels, update_teacher


class ATSO(Algorithm):
    """Stages of equal length: labels only, then the two halves of the pool in turn.

    Each stage learns the pseudo-labels of the model of the stage before: trained on labels only at first, later on the
    other half. The loss is `fixmatch.pseudo_label_loss`.
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
