"""Differences of accuracy between each subgroup and the rest of its hospital, judged together over all subgroups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.contrasts import Contrast, combine_contrasts, mean_share, shares_by_cluster
from heart2heart.evaluation.samples import UNKNOWN
from heart2heart.evaluation.simultaneous import Family, make_family
from heart2heart.evaluation.sites import ScoredSite

_DRAWS = 20_000
_FEWEST_CLUSTERS = 2


@dataclass(frozen=True)
class LevelDifference:
    """Balanced accuracy of a subgroup minus that of all other rows of its hospital.

    Attributes:
        contrast: The difference; its interval treats subgroup and others as independent if no cluster is in both.
        paired: The same difference as one sample of clusters, for the joint distribution with other subgroups.
        labels: The classes over which it is taken.
        n: Rows of the subgroup.
        clusters: Clusters of the subgroup with such rows.
        rarest: Fewest clusters of one of these classes, in the subgroup or outside.
    """

    contrast: Contrast
    paired: Contrast
    labels: tuple[int, ...]
    n: int
    clusters: int
    rarest: int


def level_difference(
    correct: Floats, rows: Floats, correct_in: Floats, rows_in: Floats, sample: str
) -> LevelDifference | None:
    """Compare a subgroup with the rest of its hospital, over the classes that two or more clusters of both have.

    Args:
        correct: Right rows of the hospital, by cluster and class `(clusters, classes)`.
        rows: All rows of the hospital, likewise.
        correct_in: Right rows of the subgroup, likewise.
        rows_in: All rows of the subgroup, likewise.
        sample: Name of the sample of clusters.

    Returns:
        The difference; None without such a class.

    Examples:
        >>> rows, correct = np.full((6, 1), 4.0), np.array([[4.0], [3], [4], [1], [2], [2]])
        >>> first = np.array([[1.0], [1], [1], [0], [0], [0]])
        >>> difference = level_difference(correct, rows, correct * first, rows * first, "north")
        >>> round(difference.contrast.value, 3)
        0.5
    """
    rows_out = rows - rows_in
    holders = np.minimum((rows_in > 0).sum(0), (rows_out > 0).sum(0))
    labels = np.flatnonzero(holders >= _FEWEST_CLUSTERS)
    if not len(labels):
        return None
    names = (f"{sample}: in", f"{sample}: out")
    if ((rows_in > 0).any(1) & (rows_out > 0).any(1)).any():
        names = (sample, sample)
    parts = ((correct_in[:, labels], rows_in[:, labels]), ((correct - correct_in)[:, labels], rows_out[:, labels]))
    own, paired = (
        combine_contrasts(
            [
                mean_share(shares_by_cluster(right, total, name), range(len(labels)))
                for (right, total), name in zip(parts, sample_names, strict=True)
            ],
            [1.0, -1.0],
        )
        for sample_names in (names, (sample, sample))
    )
    clusters = int((rows_in[:, labels] > 0).any(1).sum())
    n, rarest = int(rows_in[:, labels].sum()), int(holders[labels].min())
    return LevelDifference(own, paired, tuple(labels.tolist()), n, clusters, rarest)


def site_differences(
    site: ScoredSite, run: int, levels: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str, LevelDifference]]:
    """Compare every known subgroup of a site with its other frames.

    Args:
        site: The site.
        run: Position of the run.
        levels: Levels of each factor.

    Yields:
        Factor, level and difference of each subgroup that can be compared.
    """
    scored, clusters, classes = site.sample.scored, site.clusters, site.frames.confusion.shape[-1]
    right = site.sample.logits[run, scored].argmax(-1) == site.truth
    cell = site.cluster * classes + site.truth

    def by_cluster(chosen: npt.NDArray[np.bool_]) -> Floats:
        counts = np.bincount(cell[chosen], minlength=clusters * classes).astype(np.float64)
        return counts.reshape(clusters, classes)

    everything = np.ones(len(cell), dtype=bool)
    correct, rows = by_cluster(right), by_cluster(everything)
    for factor, names in levels.items():
        frame_levels = site.sample.factors[factor][scored]
        for name in names:
            in_level = frame_levels == name
            if name == UNKNOWN or not in_level.any():
                continue
            difference = level_difference(
                correct, rows, by_cluster(right & in_level), by_cluster(in_level), site.info.site
            )
            if difference is not None:
                yield factor, name, difference


def subgroup_family(sites: Sequence[ScoredSite | None], run: int, levels: Mapping[str, Sequence[str]]) -> Family:
    """Return the joint distribution of all subgroup differences of a run, over all sites.

    Two levels that are each other's rest count once.

    Args:
        sites: The sites; None without scored frames.
        run: Position of the run.
        levels: Levels of each factor.
    """
    contrasts: list[Contrast] = []
    for site in sites:
        seen: dict[str, list[float]] = {}
        for factor, _, difference in site_differences(site, run, levels) if site is not None else ():
            values = seen.setdefault(factor, [])
            if not any(abs(value + difference.contrast.value) < 1e-12 for value in values):
                contrasts.append(difference.paired)
            values.append(difference.contrast.value)
    return make_family(contrasts, draws=_DRAWS)
