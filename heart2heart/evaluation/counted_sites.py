"""A hospital known by its released counts: what comparisons need of it, without a row.

Variances between patients come as standard errors and correlations. Pseudo-patients with the same errors and
correlations take the place of the patients, so that intervals and claims are computed by the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.contrasts import Contrast, Shares, mean_share
from heart2heart.schema.counts import SMALLEST_CELL, Hidden, HospitalCounts, LevelCounts

_SMALLEST_EIGENVALUE = 1e-12
_SMALLEST_VARIANCE = 1e-24


@dataclass(frozen=True)
class CountedLevel:
    """Sensitivities of one hospital at one level, from its counts.

    Attributes:
        counts: The counts.
        classes: Names of the classes.
        sample: Name of the hospital.
        unit: Kind of cluster, such as `patient`.
        row: What a row is: `frame` or `clip`.
        runs: Positions of the runs whose hidden outcomes count.
        joined: Positions of the runs that share pseudo-patients; `runs` are among them.
    """

    counts: LevelCounts
    classes: tuple[str, ...]
    sample: str
    unit: str
    row: str
    runs: tuple[int, ...]
    joined: tuple[int, ...]

    @property
    def view_clusters(self) -> Ints:
        """Number of clusters with each true class `(classes,)`; 0 for a hidden class."""
        return np.array([each.patients or 0 for each in self.counts.classes], np.int64)

    @property
    def view_counts(self) -> Ints:
        """Number of rows of each true class `(classes,)`; 0 for a hidden class."""
        return np.array([each.rows or 0 for each in self.counts.classes], np.int64)

    @cached_property
    def point(self) -> Floats:
        """Sensitivity by run and class `(runs, classes)`; NaN for an absent or hidden class or outcome."""
        rows = np.where(self.view_counts > 0, self.view_counts, np.nan)
        shares: Floats = self._correct / rows
        return shares

    @cached_property
    def _correct(self) -> Floats:
        hidden = float("nan")
        return np.array(
            [
                [hidden if each.correct is None else float(each.correct) for each in run.outcomes]
                for run in self.counts.runs
            ]
        )

    def mean_sensitivity(self, runs: Sequence[int], labels: Sequence[int]) -> Contrast:
        """Return the mean over runs of the mean sensitivity over the classes `labels`."""
        chosen, size = list(labels), len(self.classes)
        first = [self.joined.index(run) * size for run in runs]
        influence = np.mean([self._influence[:, [start + label for label in chosen]] for start in first], axis=0)
        value = self.point[list(runs)][:, chosen].mean(0)
        variance = (influence**2).sum(0)
        rows = self.view_counts[chosen].astype(np.float64)
        alike = np.array([self.counts.classes[label].spread or 0.0 for label in chosen])
        with np.errstate(invalid="ignore", divide="ignore"):
            independent = np.minimum(value * (1 - value) / variance, rows)
        shares = Shares(
            self.sample,
            value,
            influence,
            np.repeat(self._exposure[:, None], len(chosen), axis=1),
            np.where(variance > _SMALLEST_VARIANCE, independent, alike),
            self.view_clusters[chosen].astype(np.float64),
        )
        return mean_share(shares, range(len(chosen)))

    @cached_property
    def _influence(self) -> Floats:
        """Influence of pseudo-patients on the outcomes of the joined runs `(pseudo-patients, runs * classes)`."""
        size = len(self.classes)
        columns = [run * size + label for run in self.joined for label in range(size)]
        errors = np.array([each.error or 0.0 for run in self.counts.runs for each in run.outcomes])
        return correlated_columns(fill_correlation(self.counts)[np.ix_(columns, columns)], errors[columns])

    @cached_property
    def _exposure(self) -> Floats:
        return exposure_of(self.counts.degrees)

    def rarest(self, labels: Sequence[int]) -> int:
        """Return the number of clusters of the rarest of the classes `labels`."""
        return int(min((self.view_clusters[label] for label in labels), default=0))

    def why_hidden(self, labels: Sequence[int]) -> str | None:
        """Return why a mean over the classes `labels` is hidden; None where it is not."""
        for label in labels:
            counts = self.counts.classes[label]
            if counts.hidden:
                return f"{self.classes[label]} is hidden: it comes from fewer than {SMALLEST_CELL} {self.unit}s"
            for run in self.runs:
                outcome = self.counts.runs[run].outcomes[label]
                if outcome.hidden:
                    side = "wrong" if outcome.hidden is Hidden.FEW_WRONG else "right"
                    few = f"fewer than {SMALLEST_CELL} of {counts.patients} {self.unit}s have a {side} {self.row}"
                    bound = "" if outcome.at_least is None else f"; at least {100 * outcome.at_least:.0f} % are right"
                    return f"hidden: {few} of {self.classes[label]}{bound}"
        return None

    def why_not_paired(self, labels: Sequence[int]) -> str | None:
        """Return why a difference of the runs over the classes `labels` is hidden; None where it is not."""
        size = len(self.classes)
        for first in self.runs:
            for second in self.runs:
                pairs = [(first * size + one, second * size + other) for one in labels for other in labels]
                if first != second and any(self.counts.correlation[i][j] is None for i, j in pairs):
                    return f"hidden: fewer than {SMALLEST_CELL} {self.unit}s tell the two models apart"
        return None


@dataclass(frozen=True)
class CountedHospital:
    """One hospital, from its counts.

    Attributes:
        counts: The file.
        runs: Positions of the runs whose hidden outcomes count.
        joined: Positions of the runs that share pseudo-patients; `runs` are among them.
    """

    counts: HospitalCounts
    runs: tuple[int, ...]
    joined: tuple[int, ...]

    @property
    def name(self) -> str:
        """The hospital."""
        return self.counts.site

    @property
    def held_out(self) -> bool:
        """No frame of it was trained on."""
        return self.counts.held_out

    @property
    def rows(self) -> int:
        """Number of scored frames of the shown classes."""
        return int(self.frames.view_counts.sum())

    @property
    def clusters(self) -> int:
        """Number of clusters; where that is hidden, those of the most frequent class, which are no more."""
        patients = self.counts.frames.patients
        return int(self.frames.view_clusters.max()) if patients is None else patients

    @property
    def present(self) -> list[int]:
        """Indices of the shown classes with at least one frame."""
        return [int(label) for label in np.flatnonzero(self.frames.view_counts)]

    @cached_property
    def frames(self) -> CountedLevel:
        """Sensitivities by frame."""
        return self._level(self.counts.frames, "frame")

    @cached_property
    def clips(self) -> CountedLevel:
        """Sensitivities by clip."""
        return self._level(self.counts.clips, "clip")

    def _level(self, counts: LevelCounts, row: str) -> CountedLevel:
        return CountedLevel(counts, self.counts.classes, self.name, self.counts.unit, row, self.runs, self.joined)

    def of_runs(self, runs: Sequence[int]) -> CountedHospital:
        """Return the same hospital where only some runs count; a hidden cell of another run then changes nothing."""
        return replace(self, runs=tuple(runs), joined=tuple(runs))

    def claims_of_runs(self, runs: Sequence[int]) -> CountedHospital:
        """Return the same hospital for the claims of some runs; those of all runs are correlated."""
        return replace(self, runs=tuple(runs))


def fill_correlation(counts: LevelCounts) -> Floats:
    """Return the correlations with 1 for hidden ones, which gives the widest intervals of means.

    A difference is not estimable where one is hidden (`CountedLevel.why_not_paired`).
    """
    kept = [outcome.hidden is None for run in counts.runs for outcome in run.outcomes]
    filled = [
        [(1.0 if kept[i] and kept[j] else 0.0) if value is None else value for j, value in enumerate(line)]
        for i, line in enumerate(counts.correlation)
    ]
    correlation: Floats = np.array(filled, np.float64)
    np.fill_diagonal(correlation, 1.0)
    return (correlation + correlation.T) / 2


def correlated_columns(correlation: Floats, errors: Floats) -> Floats:
    """Return columns `(n, n)` with given lengths and correlations; the nearest ones where no such columns exist.

    Args:
        correlation: `(n, n)`.
        errors: Length of each column `(n,)`.

    Examples:
        >>> columns = correlated_columns(np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([0.1, 0.2]))
        >>> (columns.T @ columns).round(4).tolist()
        [[0.01, 0.01], [0.01, 0.04]]
    """
    values, vectors = np.linalg.eigh(correlation)
    kept = np.where(values > _SMALLEST_EIGENVALUE * values.max(), values, 0.0)
    root = np.sqrt(kept)[:, None] * vectors.T
    columns: Floats = root / np.sqrt((root**2).sum(0)) * errors
    return columns


def exposure_of(degrees: float | None) -> Floats:
    """Return parts of the rows of pseudo-clusters `(n,)` that sum to 1 and give these degrees of freedom.

    One pseudo-cluster has more rows than the others, which are alike.

    Args:
        degrees: Degrees of freedom of a difference (`contrasts`); None gives 0.

    Examples:
        >>> squares = exposure_of(3.5) ** 2
        >>> round(float(squares.sum() ** 2 / (squares**2).sum()) - 1, 6)
        3.5
    """
    effective = 1 + (degrees or 0.0)
    if effective <= 1 + 1e-9:
        return np.ones(1)
    others = int(np.ceil(effective))
    first = (others + np.sqrt(others**2 + (effective - 1) * others * (others - effective))) / (effective - 1)
    parts = np.sqrt(np.array([first, *([1.0] * others)]))
    return np.asarray(parts / parts.sum(), np.float64)
