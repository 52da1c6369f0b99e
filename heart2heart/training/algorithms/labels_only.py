"""Labels only: the baseline that every other algorithm has to beat."""

from __future__ import annotations

from typing import ClassVar

from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext


class LabelsOnly(Algorithm):
    """Supervised learning from the labeled frames; unlabeled frames are not read."""

    title: ClassVar[str] = "labels only"

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss | None:
        """Return None: there is no unlabeled loss."""
        return None
