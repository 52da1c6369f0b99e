"""Agreement of raters corrected for chance: Cohen's and Fleiss' kappa, and Krippendorff's alpha, on nominal views.

Each coefficient is a function of sums over units (clips or frames), so that a bootstrap over patients only weights
their sums. A coefficient is NaN where it is not estimable: no unit was read twice, or the agreement by chance is 1.

Sources: J. Cohen, Educational and Psychological Measurement 20 (1960) 37-46; J. L. Fleiss, Psychological Bulletin 76
(1971) 378-382; K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import UnknownNameError
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind, LabelAnswer

Floats = npt.NDArray[np.float64]


NON_VIEW_HANDLING = ("missing", "word")


@dataclass(frozen=True)
class ReadingMatrix:
    """The last active reading of each rater, as a table with gaps.

    Attributes:
        units: Clips and frames, sorted.
        raters: Sorted.
        values: Views, `unusable`, `unsure`, as far as they occur; sorted.
        value_index: int64 `(units, raters)`, index in `values` of a rater's reading of a unit; -1 where there is none.
    """

    units: tuple[str, ...]
    raters: tuple[str, ...]
    values: tuple[str, ...]
    value_index: npt.NDArray[np.int64]

    @classmethod
    def from_events(
        cls, events: Iterable[LabelEvent], *, unsure: str = "missing", unusable: str = "word"
    ) -> ReadingMatrix:
        """Build the matrix from the last reading of each rater; decisions of adjudicators are not readings.

        Args:
            events: Label events in the order in which they were recorded.
            unsure: How the answer `unsure` counts: `missing` as no reading, `word` as a value like a view.
            unusable: How the answer `unusable` counts, as for `unsure`.

        Raises:
            UnknownNameError: `unsure` or `unusable` is neither `missing` nor `word`.
        """
        for handling in (unsure, unusable):
            if handling not in NON_VIEW_HANDLING:
                raise UnknownNameError.among("handling of readings without a view", handling, list(NON_VIEW_HANDLING))
        excluded_values = {
            value
            for value, handling in ((LabelAnswer.UNSURE, unsure), (LabelAnswer.UNUSABLE, unusable))
            if handling == "missing"
        }
        last_values = {
            (event.target, event.rater): event.value for event in active_events(events) if event.kind == EventKind.LABEL
        }
        last_values = {key: value for key, value in last_values.items() if value not in excluded_values}
        units, raters = (tuple(sorted({key[position] for key in last_values})) for position in (0, 1))
        values = tuple(sorted(set(last_values.values())))
        unit_index, rater_index, value_number = (
            {name: index for index, name in enumerate(labels)} for labels in (units, raters, values)
        )
        value_index = np.full((len(units), len(raters)), -1)
        for (unit, rater), value in last_values.items():
            value_index[unit_index[unit], rater_index[rater]] = value_number[value]
        return cls(units, raters, values, value_index)

    def select_units(self, indices: Sequence[int]) -> ReadingMatrix:
        """Return the readings of the units at these indices."""
        return ReadingMatrix(
            tuple(self.units[index] for index in indices), self.raters, self.values, self.value_index[list(indices)]
        )

    @property
    def counts(self) -> Floats:
        """Number of readings of each value, float64 `(units, values)`."""
        counts: Floats = (self.value_index[:, :, None] == np.arange(len(self.values))).sum(1).astype(np.float64)
        return counts


def cohen_kappa(table: Floats) -> Floats:
    """Return Cohen's kappa of two raters.

    Args:
        table: Number of units by value of the first (axis -2) and second rater (axis -1), `(..., values, values)`.

    Returns:
        `(...)`. For the kappa of one view, pass `one_against_rest(table, view)`.
    """
    total = table.sum((-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1)
    expected = (table.sum(-1) * table.sum(-2)).sum(-1)
    return _ratio(observed * total - expected, total * total - expected)


def gwet_ac1(table: Floats) -> Floats:
    """Return Gwet's AC1 of two raters, which stays high where almost all readings have one value.

    Source: K. L. Gwet, British Journal of Mathematical and Statistical Psychology 61 (2008) 29-48, equation 4.

    Args:
        table: Number of units by value of the first (axis -2) and second rater (axis -1), `(..., values, values)`, of
            two or more values.

    Returns:
        `(...)`.
    """
    total = table.sum((-2, -1))
    observed = _ratio(np.trace(table, axis1=-2, axis2=-1), total)
    shares = _ratio((table.sum(-1) + table.sum(-2)) / 2, np.broadcast_to(total[..., None], table.shape[:-1]))
    expected = (shares * (1 - shares)).sum(-1) / (table.shape[-1] - 1)
    return _ratio(observed - expected, 1 - expected)


def weighted_kappa(table: Floats) -> Floats:
    """Return Cohen's weighted kappa of two raters on an ordered scale, with quadratic weights.

    Source: J. Cohen, Psychological Bulletin 70 (1968) 213-220.

    Args:
        table: Number of units by value of the first (axis -2) and second rater (axis -1), `(..., values, values)`, in
            the order of the scale.

    Returns:
        `(...)`.
    """
    steps = np.arange(table.shape[-1])
    weights = (steps[:, None] - steps[None, :]) ** 2
    total = table.sum((-2, -1))
    by_chance = table.sum(-1)[..., :, None] * table.sum(-2)[..., None, :]
    return 1 - _ratio((weights * table).sum((-2, -1)) * total, (weights * by_chance).sum((-2, -1)))


def coincidences(counts: Floats) -> Floats:
    """Return Krippendorff's coincidence matrix of each unit; `krippendorff_alpha` takes their sum over units.

    Each ordered pair of readings of a unit with m readings counts 1/(m-1); a unit with one reading counts 0.

    Args:
        counts: Number of readings by value, `(units, values)`.

    Returns:
        `(units, values, values)`, symmetric.
    """
    readings = counts.sum(1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    weighed: Floats = pairs / np.maximum(readings - 1, 1)[:, None, None]
    return weighed


def krippendorff_alpha(table: Floats) -> Floats:
    """Return Krippendorff's nominal alpha, for any number of raters and any missing readings.

    Args:
        table: Summed `coincidences`, `(..., values, values)`.

    Returns:
        `(...)`. For the alpha of one view, pass `one_against_rest(table, view)`.
    """
    value_totals = table.sum(-1)
    total = value_totals.sum(-1)
    differing = total - np.trace(table, axis1=-2, axis2=-1)
    expected = total * total - (value_totals * value_totals).sum(-1)
    return 1 - _ratio((total - 1) * differing, expected)


def one_against_rest(table: Floats, value: int) -> Floats:
    """Merge all values but one: `(..., values, values)` to `(..., 2, 2)`."""
    agreed = table[..., value, value]
    row, column = table[..., value, :].sum(-1) - agreed, table[..., :, value].sum(-1) - agreed
    rest = table.sum((-2, -1)) - agreed - row - column
    return np.stack([np.stack([agreed, row], -1), np.stack([column, rest], -1)], -2)


def fleiss_sums(counts: Floats) -> Floats:
    """Return the statistics for Fleiss' kappa: readings by value and their squares, `(units, 2, values)`."""
    return np.stack([counts, counts * counts], 1)


def fleiss_kappa(sums: Floats, readings: int, value: int | None = None) -> Floats:
    """Return Fleiss' kappa of units that were each read equally often.

    Args:
        sums: Summed `fleiss_sums`, `(..., 2, values)`.
        readings: Number of readings of each unit, at least 2.
        value: Index of the value that is compared with all others (Fleiss 1971, section 3); None compares all values.

    Returns:
        `(...)`.
    """
    total = sums[..., 0, :].sum(-1)  # readings of all units
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = sums[..., 0, :] / total[..., None]
        if value is None:
            observed = (sums[..., 1, :].sum(-1) / total - 1) / (readings - 1)
            expected = (shares * shares).sum(-1)
        else:
            share = shares[..., value]
            squares = sums[..., 1, value]
            rest = (
                readings * total - 2 * readings * sums[..., 0, value] + squares
            )  # squares of all other values together
            observed = ((squares + rest) / total - 1) / (readings - 1)
            expected = share * share + (1 - share) ** 2
    return _ratio(observed - expected, 1 - expected)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where the divisor is 0 up to rounding."""
    known = np.isfinite(below) & (np.abs(below) > 1e-12)
    out: Floats = np.full(np.shape(below), np.nan)
    return np.divide(above, below, out=out, where=known)
