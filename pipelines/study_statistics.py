"""Statistics of paired seeds: intervals, tests, families of comparisons, and the power of a study before it is run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import brentq
from scipy.special import chdtri, ndtr

from heart2heart.evaluation.intervals import holm
from heart2heart.utils import random_stream

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
POWER = 0.8
"""Chance to show an effect that is there, which a study should have."""
_EXACT_SEEDS = 16  # up to here every sign flip is counted
_DRAWS = 20_000
_NODES = 300


@dataclass(frozen=True)
class SeedInterval:
    """A mean with its 95 % interval of Student's t over seeds; NaN bounds for a single value."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> SeedInterval:
        """Return the mean of `values`, at least one, and its interval."""
        numbers: Floats = np.asarray(values, np.float64)
        mean = float(numbers.mean())
        if len(numbers) < 2:
            return cls(mean, float("nan"), float("nan"))
        half = float(stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        """Return `87.1 (85.0 to 89.2)`."""
        return f"{self.mean:.1f}" if np.isnan(self.low) else f"{self.mean:.1f} ({self.low:.1f} to {self.high:.1f})"

    def per_cent(self) -> str:
        """Return the same for a value between 0 and 100, which an interval over few seeds may leave."""
        return str(replace(self, low=max(self.low, 0.0), high=min(self.high, 100.0)))


@dataclass(frozen=True)
class PairedTest:
    """One comparison of a family.

    Attributes:
        interval: Mean difference with its own 95 % interval.
        seeds: Number of pairs.
        p: Two-sided p-value of the paired t-test; NaN with fewer than two seeds.
        p_holm: The same after Holm's correction over the family.
        p_flips: Two-sided p-value of the largest statistic under flipped signs, over the family; a check without
            normal distributions, which cannot be smaller than 2 / 2^seeds.
    """

    interval: SeedInterval
    seeds: int
    p: float
    p_holm: float
    p_flips: float


def paired_tests(differences: Mapping[str, Mapping[int, float]]) -> dict[str, PairedTest]:
    """Test every comparison of a family, with one error rate for all.

    Args:
        differences: Comparison -> seed -> difference, such as one way less another.

    Returns:
        Comparison -> its test; a comparison without a pair is left out.

    Examples:
        >>> test = paired_tests({"a": {0: 1.0, 1: 2.0, 2: 3.0}})["a"]
        >>> round(test.p, 3), test.p == test.p_holm, test.p_flips
        (0.074, True, 0.25)
    """
    family = {name: values for name, values in differences.items() if values}
    p_values = {name: _paired_p(list(values.values())) for name, values in family.items()}
    tested = [name for name in family if not math.isnan(p_values[name])]
    adjusted = dict(zip(tested, holm([p_values[name] for name in tested]), strict=True))
    flips = dict(zip(tested, flipped_signs([family[name] for name in tested]), strict=True))
    return {
        name: PairedTest(
            SeedInterval.of(list(values.values())), len(values), p_values[name], adjusted.get(name, math.nan),
            flips.get(name, math.nan),
        )
        for name, values in family.items()
    }  # fmt: skip


def _paired_p(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    deviation = float(np.std(values, ddof=1))
    if deviation == 0:
        return 1.0 if np.mean(values) == 0 else 0.0
    statistic = float(np.mean(values)) / deviation * math.sqrt(len(values))
    return float(2 * stats.t.sf(abs(statistic), len(values) - 1))


def flipped_signs(family: Sequence[Mapping[int, float]]) -> list[float]:
    """Return the p-value of each comparison by the largest statistic of the family under flipped signs.

    A seed's sign is the same in every comparison, so their correlation is kept (Westfall and Young 1993, single step).
    The statistic is that of Student's t. Every combination of signs is counted up to 16 seeds; above, 20,000 are drawn.

    Args:
        family: Seed -> difference, for each comparison; seeds may be missing.
    """
    if not family:
        return []
    seeds = sorted(set().union(*family))
    values = np.array([[one.get(seed, math.nan) for seed in seeds] for one in family])
    if len(seeds) <= _EXACT_SEEDS:
        codes = np.arange(2 ** max(0, len(seeds) - 1))  # flipping every sign changes no absolute value
        signs = 1.0 - 2.0 * ((codes[:, None] >> np.arange(len(seeds))) & 1).astype(np.float64)
    else:
        signs = random_stream(0, "signs", len(seeds)).choice([-1.0, 1.0], (_DRAWS, len(seeds)))
        signs[0] = 1.0
    observed = _statistics(values, np.ones((1, len(seeds))))[0]
    largest = _statistics(values, signs).max(1)
    return [float((largest >= statistic * (1 - 1e-9)).mean()) for statistic in observed]


def _statistics(values: Floats, signs: Floats) -> Floats:
    """Return the absolute t of each comparison `(signs, comparisons)` for each row of signs."""
    present = ~np.isnan(values)
    counts = present.sum(1)
    filled = np.where(present, values, 0.0)
    means = signs @ filled.T / counts
    squares = (filled**2).sum(1)  # the same under every flip
    variance = np.maximum(squares - counts * means**2, 0.0) / np.maximum(counts - 1, 1)
    error = np.sqrt(variance / counts)
    scale = np.abs(means)
    result: Floats = np.divide(scale, error, out=np.full_like(means, np.inf), where=error > 1e-12 * (1 + scale))
    return np.where(scale == 0, 0.0, result)


def paired_power(effect: float, deviation: float, seeds: int, *, tests: int = 1) -> float:
    """Return the chance that a paired t-test shows an effect, with Bonferroni's share of the error rate.

    Holm's correction rejects wherever Bonferroni's does, so this is a lower bound of its power.

    Args:
        effect: True mean difference.
        deviation: Standard deviation of the paired differences.
        seeds: Number of pairs, at least 2.
        tests: Comparisons of the family.

    Examples:
        >>> round(paired_power(2.0, 2.0, 10), 3)
        0.803
    """
    alpha = (1 - CONFIDENCE) / tests
    freedom, shift = seeds - 1, effect / deviation * math.sqrt(seeds)
    limit = float(stats.t.ppf(1 - alpha / 2, freedom))
    # The noncentral t of scipy is NaN for some values; this is its integral over the estimated deviation.
    ratios, weights = _deviation_ratios(freedom)
    return float(weights @ (ndtr(shift - limit * ratios) + ndtr(-shift - limit * ratios)))


@cache
def _deviation_ratios(freedom: int) -> tuple[Floats, Floats]:
    """Return values of the estimated over the true deviation, and their weights for an integral."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return np.sqrt(chdtri(freedom, (nodes + 1) / 2) / freedom), weights / 2


def detectable_effect(deviation: float, seeds: int, *, tests: int = 1) -> float:
    """Return the smallest effect that is shown with the chance `POWER`; the arguments are those of `paired_power`.

    Examples:
        >>> round(detectable_effect(2.0, 8), 2), round(detectable_effect(2.0, 8, tests=20), 2)
        (2.31, 4.06)
    """
    if deviation == 0:
        return 0.0

    def lacking(ratio: float) -> float:
        return paired_power(ratio, 1.0, seeds, tests=tests) - POWER

    high = 1.0
    while lacking(high) < 0:
        high *= 2
    return deviation * float(brentq(lacking, 0.0, high))


def seeds_needed(effect: float, deviation: float, *, tests: int = 1, most: int = 10_000) -> int | None:
    """Return the fewest seeds that show an effect with the chance `POWER`; None if `most` do not.

    Examples:
        >>> seeds_needed(2.0, 2.0)
        10
    """
    if paired_power(effect, deviation, most, tests=tests) < POWER:
        return None
    low, high = 1, most  # too few, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if paired_power(effect, deviation, middle, tests=tests) >= POWER else (middle, high)
    return high
