"""How many patients would decide a criterion: the same interval with more patients like those of the sample.

The statistic, the frames of a patient and their correlation stay as they are; the variance of the hospital's part falls
with the number of patients, the degrees of freedom rise, and the source's part stays. A number decides if the interval,
moved by the standard error times the normal quantile of the power, does not include the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from heart2heart.evaluation.contrasts import Contrast, Shares
from heart2heart.schema.site_metrics import Estimate

ASSUMED_ROWS = 2.5
"""Independent rows of a patient where nothing is known: five rows with an intra-cluster correlation of 0.25."""

ASSUMED_PATIENTS = 10
"""Patients of `assumed_share`."""


@dataclass(frozen=True)
class Projection:
    """Limits of an interval by number of patients, as a ratio to those of the sample.

    Attributes:
        limits: Function from the ratio to the lower and the upper limit, and the standard error.
    """

    limits: Callable[[float], tuple[float, float, float]]

    def widened(self, factor: float, power: float) -> tuple[float, float]:
        """Return the limits, moved away from the value so that they decide with a power.

        Args:
            factor: Ratio of the numbers of patients.
            power: Probability, 0 to 1.
        """
        from scipy.special import ndtri

        low, high, error = self.limits(factor)
        moved = max(float(ndtri(power)), 0.0) * error
        return low - moved, high + moved


def with_patients(contrast: Contrast, sample: str, factor: float) -> Contrast:
    """Return a contrast as it would be with `factor` times as many patients of one sample.

    Args:
        contrast: The contrast.
        sample: Name of the sample.
        factor: Ratio of the numbers of patients.

    Examples:
        >>> from heart2heart.evaluation.contrasts import mean_share, shares_by_cluster
        >>> correct, rows = np.array([[3.0], [1.0], [2.0]]), np.full((3, 1), 3.0)
        >>> contrast = mean_share(shares_by_cluster(correct, rows, "north"), [0])
        >>> more = with_patients(contrast, "north", 4)
        >>> more.value == contrast.value, round(contrast.variance / more.variance, 6)
        (True, 4.0)
    """
    return Contrast(
        tuple(
            (_larger(shares, factor) if shares.sample == sample else shares, weights)
            for shares, weights in contrast.parts
        )
    )


def _larger(shares: Shares, factor: float) -> Shares:
    return replace(
        shares,
        influence=shares.influence / math.sqrt(factor),
        effective=shares.effective * factor,
        clusters=shares.clusters * factor,
    )


def project_contrast(contrast: Contrast, sample: str, confidence: float, *, offset: float = 0.0) -> Projection:
    """Project the interval of a contrast to other numbers of patients.

    Args:
        contrast: The contrast.
        sample: Name of the hospital's sample.
        confidence: Nominal coverage.
        offset: Added to the limits.

    Examples:
        >>> projection = project_contrast(assumed_share(0.9, "north"), "north", 0.95)
        >>> [tuple(round(limit, 2) for limit in projection.widened(factor, 0.5)) for factor in (1, 10)]
        [(0.69, 0.97), (0.86, 0.93)]
    """

    def limits(factor: float) -> tuple[float, float, float]:
        larger = with_patients(contrast, sample, factor)
        low, high = larger.interval(confidence)
        return low + offset, high + offset, math.sqrt(larger.variance)

    return Projection(limits)


def project_estimate(estimate: Estimate, confidence: float) -> Projection | None:
    """Project an interval that did not come from a contrast: its distances fall with the root of the patients.

    Args:
        estimate: The estimate.
        confidence: Nominal coverage of its interval.

    Returns:
        The projection; None without an interval.

    Examples:
        >>> estimate = Estimate(value=0.8, low=0.7, high=0.86, n=90, clusters=30, few_clusters=False)
        >>> [round(limit, 3) for limit in project_estimate(estimate, 0.95).widened(4, 0.5)]
        [0.75, 0.83]
    """
    from scipy.special import ndtri

    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    value, low, high = estimate.value, estimate.low, estimate.high
    quantile = float(ndtri((1 + confidence) / 2))

    def limits(factor: float) -> tuple[float, float, float]:
        root = math.sqrt(factor)
        return value - (value - low) / root, value + (high - value) / root, (high - low) / (2 * quantile * root)

    return Projection(limits)


def assumed_share(value: float, sample: str) -> Contrast:
    """Return an assumed share of `ASSUMED_PATIENTS` patients with `ASSUMED_ROWS` independent rows each.

    Args:
        value: The assumed share, between 0 and 1.
        sample: Name of the sample.

    Examples:
        >>> round(assumed_share(0.9, "north").variance, 6) == round(0.9 * 0.1 / 25, 6)
        True
    """
    patients, rows = ASSUMED_PATIENTS, ASSUMED_PATIENTS * ASSUMED_ROWS
    signs = np.resize([1.0, -1.0], patients)
    influence = signs * math.sqrt(value * (1 - value) / rows / patients)
    shares = Shares(
        sample=sample,
        value=np.array([value]),
        influence=influence[:, None],
        exposure=np.full((patients, 1), 1 / patients),
        effective=np.array([rows]),
        clusters=np.array([float(patients)]),
    )
    return Contrast(((shares, np.array([1.0])),))


def fewest_patients(
    projection: Projection,
    decided: Callable[[float, float], bool],
    *,
    patients: int,
    power: float,
    least: int,
    most: int,
) -> int | None:
    """Return the fewest patients with which an interval decides; None if `most` do not.

    Args:
        projection: The interval by number of patients.
        decided: Whether limits decide.
        patients: Patients of the sample that the projection starts from.
        power: Probability with which they decide, 0 to 1.
        least: Fewest patients that are considered.
        most: Most patients that are considered.

    Examples:
        >>> projection = project_contrast(assumed_share(0.9, "north"), "north", 0.95)
        >>> options = {"patients": ASSUMED_PATIENTS, "power": 0.8, "least": 2, "most": 500}
        >>> fewest_patients(projection, lambda low, high: low > 0.8, **options)
        42
        >>> fewest_patients(projection, lambda low, high: low > 0.899, **options) is None
        True
    """

    def decides(number: int) -> bool:
        return decided(*projection.widened(number / patients, power))

    if least > most or not decides(most):
        return None
    low, high = least, most
    while low < high:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle + 1
    return low
