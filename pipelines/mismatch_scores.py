"""Scores of the mismatch study as numbers: intervals over seeds, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from heart2heart.learn.rules import RULES
from pipelines.mismatch_ways import parse_way

Line = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
Scores = dict[tuple[int, str, int], dict[int, float]]
"""Balanced accuracy x 100 by labels, way and level, then seed."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval of Student's t over seeds; NaN bounds for a single value."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
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


def base_of(way: str) -> str | None:
    """Return the way that one with something around it is held against; None for a bare method."""
    method, *around = way.split("+")
    return method if around else None


def rule_peer(way: str, ways: Iterable[str]) -> str | None:
    """Return which of `ways` is as `way` but for Fix-A-Step's rule; None where `way` has no other rule."""
    if not RULES.keys() & set(way.split("+")):
        return None
    method, around = parse_way(way)
    around["fix_a_step"]["gradient"] = "fix_a_step"
    same = (method, {"mixing": False} | around["fix_a_step"])
    for other in ways:
        name, settings = parse_way(other)
        if other != way and (name, {"mixing": False} | settings["fix_a_step"]) == same and len(settings) == len(around):
            return other
    return None


def scores(lines: Iterable[Line]) -> Scores:
    """Return balanced accuracy x 100 by labels, way and level, then seed; runs that diverged have none."""
    found: Scores = {}
    for line in lines:
        if line["balanced_accuracy"] is None:
            continue
        key = (line["labels"], line["way"], line["level"])
        found.setdefault(key, {})[line["seed"]] = 100 * line["balanced_accuracy"]
    return found


def differences(found: Scores, labels: int, way: str, base: str) -> list[float]:
    """Return, seed by seed, the mean over the levels of `way` less `base`; only pairs that both have."""
    by_seed: dict[int, list[float]] = {}
    for (count, name, level), values in found.items():
        if count == labels and name == way:
            # Labels only reads no pool, so its one run a seed stands beside every level.
            other = next(
                (there for key, there in found.items() if key[:2] == (labels, base) and base == "labels_only"),
                found.get((labels, base, level), {}),
            )
            for seed in values.keys() & other.keys():
                by_seed.setdefault(seed, []).append(values[seed] - other[seed])
    return [float(np.mean(by_seed[seed])) for seed in sorted(by_seed)]


def verdict(interval: Interval) -> str:
    """Return `helps`, `hurts` or `not shown`."""
    if interval.low > 0:
        return "helps"
    return "hurts" if interval.high < 0 else "not shown"
