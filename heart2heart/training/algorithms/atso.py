"""ATSO: asynchronous teacher and student; no model labels the half of the pool that it was trained on.

Huo, Xie, He, Yang, Zhou, Li and Tian, CVPR 2021, "ATSO: Asynchronous teacher-student optimization for semi-supervised
image segmentation": a model that learns from its own labels keeps its opinion ("lazy mimicking"), so the pool is split
into two halves that take turns, and no student goes on from its teacher's weights. Departures: frames are classified,
not segmented; labels are guessed on the weak view of a frame when it comes up, and learned on the strong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, Memory, StepContext, TrainerHandle, ViewName
from heart2heart.training.algorithms.fixmatch import pseudo_label_loss
from heart2heart.training.algorithms.memory import equal_stages, teacher_memory, teacher_pseudo_labels, update_teacher


class ATSO(Algorithm):
    """Stages of equal length: labels only, then the two halves of the pool in turn.

    Each stage learns the labels that the model of the stage before gives: trained on labels only at first, later on the
    other half.
    """

    title: ClassVar[str] = "ATSO"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "strong")
    uses_alignment: ClassVar[bool] = True
    pool_parts: ClassVar[int] = 2

    rounds: int = Field(2, ge=1)
    """How often each half is learned from."""
    threshold: float = Field(0.0, ge=0, le=1)
    """Confidence of the teacher from which its guess counts as a label; the paper takes all."""
    continual: bool = False
    """Go on from the teacher's weights, which the paper advises against."""

    def stages(self, steps: int) -> tuple[int, ...]:
        """See `Method.stages`."""
        return equal_stages(1 + 2 * self.rounds, steps, self.title)

    def pool_part(self, stage: int) -> int:
        """Return the half that a stage learns from; the first stage, of labels only, looks at none."""
        return (stage + 1) % 2

    def initial_memory(self, pool: int, classes: int, weights: Mapping[str, Tensor]) -> Memory:
        """Return room for the teacher."""
        return teacher_memory(weights)

    def on_stage_start(self, stage: int, trainer: TrainerHandle) -> None:
        """Make the last stage's model the teacher."""
        if stage:
            update_teacher(trainer)
            if not self.continual:
                trainer.reset_weights()

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return the cross-entropy on the strong views against the teacher's labels, averaged over the whole batch."""
        if step.stage == 0:
            return None
        weak, strong = step.unlabeled
        return pseudo_label_loss(step.model(strong), teacher_pseudo_labels(step, weak), self.threshold)
