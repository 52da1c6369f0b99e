"""Agreement of raters corrected for chance: Cohen's and Fleiss' kappa, and Krippendorff's alpha, on nominal views.

Each coefficient is a function of sums over units (clips or frames), so that a bootstrap over patients only weights
their sums. A coefficient is NaN where it is not estimable: no unit was read twice, or the agreement by chance is 1.

Sources: J. Cohen, Educational and Psychological Measurement 20 (1960) 37-46; J. L. Fleiss, Psychological Bulletin 76
(1971) 378-382; K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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
