"""What comparisons need of a scored site; rows of predictions give it, and so do released counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.contrasts import Contrast


class ScoredLevel(Protocol):
    """Sensitivities of one site at one level: frames, clips or studies."""

    @property
    def point(self) -> Floats:
        """Sensitivity by run and class `(runs, classes)`; NaN for an absent or hidden class."""

    @property
    def view_clusters(self) -> Ints:
        """Number of clusters with each true class `(classes,)`."""

    @property
    def view_counts(self) -> Ints:
        """Number of rows of each true class `(classes,)`."""

    def mean_sensitivity(self, runs: Sequence[int], labels: Sequence[int]) -> Contrast:
        """Return the mean over runs of the mean sensitivity over the classes `labels`."""

    def rarest(self, labels: Sequence[int]) -> int:
        """Return the number of clusters of the rarest of the classes `labels`."""

    def why_hidden(self, labels: Sequence[int]) -> str | None:
        """Return why a mean over the classes `labels` is hidden; None where it is not."""

    def why_not_paired(self, labels: Sequence[int]) -> str | None:
        """Return why a difference of runs over the classes `labels` is hidden; None where it is not."""


class ScoredHospital(Protocol):
    """One site with scored frames."""

    @property
    def name(self) -> str:
        """The site."""

    @property
    def held_out(self) -> bool:
        """No frame of it was trained on."""

    @property
    def rows(self) -> int:
        """Number of scored frames."""

    @property
    def clusters(self) -> int:
        """Number of clusters with scored frames."""

    @property
    def present(self) -> list[int]:
        """Indices of the classes with at least one frame that is not hidden."""

    @property
    def frames(self) -> ScoredLevel:
        """Sensitivities by frame."""
