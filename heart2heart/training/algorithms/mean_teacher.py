"""Mean Teacher (Tarvainen and Valpola, NeurIPS 2017): the averaged network is the teacher of the trained one."""

from __future__ import annotations

from typing import ClassVar

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.pi_model import consistency_loss


class MeanTeacher(Algorithm):
    """The squared difference between the student's probabilities of one view and the teacher's of another.

    The teacher is the run's average (`ema`) in evaluation mode, as in Fix-A-Step's released code. The paper's teacher
    normalises with the statistics of its batch.
    """

    title: ClassVar[str] = "Mean Teacher"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    joint_views: ClassVar[int | None] = 1

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean squared difference over classes and frames (section 2, equation 1)."""
        first, second = step.unlabeled
        target = step.model_access.ema(second).softmax(-1).detach()
        return AlgorithmLoss.from_samples(consistency_loss(step.model(first), target))
