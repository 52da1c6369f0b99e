"""A plugin: one part of each kind that heart2heart finds by entry point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from heart2heart.active_learning.budgeted_selection import BudgetedSelection
from heart2heart.active_learning.pool import ClipPool
from heart2heart.active_learning.strategies import QueryStrategy
from heart2heart.datasets import unity
from heart2heart.datasets.catalogue import DatasetInfo
from heart2heart.datasets.manifest import DatasetManifest
from heart2heart.training.algorithms import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.gradient_rules import CombinedGradient, GradientRule, UnlabeledGradient
from heart2heart.training.networks import ClassifierShape, NetworkOptions


class Agreement(Algorithm):
    """Two weak views must get the same probabilities."""

    title: ClassVar[str] = "agreement"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")

    power: float = 2.0
    """Power of the difference."""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        """Return the mean power of the difference."""
        first, second = (step.model(view).softmax(1) for view in step.unlabeled)
        each = (first.detach() - second).abs().pow(self.power).mean(1)
        return AlgorithmLoss(each.mean(), {}, each)


class Half(GradientRule):
    """Half of the unlabeled gradient is added."""

    title: ClassVar[str] = "half"

    def combine(
        self, labeled: Tensor, unlabeled: UnlabeledGradient, weight: float, memory: dict[str, Tensor]
    ) -> CombinedGradient:
        """Return the labeled gradient plus half of the unlabeled one."""
        return CombinedGradient(labeled + weight / 2 * unlabeled.gradient(), labeled.new_zeros(()))


class LinearOptions(NetworkOptions):
    """One linear layer."""

    bias: bool = True
    """Whether the layer has a bias."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """Return the layer over all pixels."""
        return nn.Sequential(nn.Flatten(), nn.Linear(shape.channels * shape.size**2, shape.classes, self.bias))


def scan(folder: Path) -> DatasetManifest:
    """List the files of a folder in the layout of Unity."""
    return replace(unity.scan(folder), source="sample-unity")


DATASET = DatasetInfo(
    name="sample-unity",
    title="Sample",
    description="Add the sample.",
    layout="png-cache/ and view_index.csv",
    url="nowhere",
    licence="none",
    rater="Sample",
    scan=scan,
)


def select_first(pool: ClipPool, selection: BudgetedSelection, rng: np.random.Generator) -> None:
    """Select the first clips of the pool."""
    while not selection.is_full():
        selection.select(int(np.flatnonzero(selection.open)[0]), 0.0, "the first of the pool")


FIRST = QueryStrategy("the first clips", "none", frozenset(), select_first)
