"""Agreement of raters corrected for chance: Cohen's and Fleiss' kappa, and Krippendorff's alpha, on nominal views.

Each measure is a function of sums over units (clips or frames), so that resampling patients means weighing their sums.
A measure is NaN where it is not estimable: nothing was read twice, or chance alone would agree always.

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
        table: Units by the word of the first (axis -2) and of the second rater (axis -1), `(..., words, words)`.

    Returns:
        `(...)`; a view alone is measured on `one_against_rest(table, view)`.
    """
    total = table.sum((-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1)
    expected = (table.sum(-1) * table.sum(-2)).sum(-1)
    return _ratio(observed * total - expected, total * total - expected)


def coincidences(counts: Floats) -> Floats:
    """Return Krippendorff's coincidences of each unit; their sum over units is what `krippendorff_alpha` takes.

    Each ordered pair of readings of a unit with m readings counts 1/(m-1); a unit read once says nothing.

    Args:
        counts: Readings by word, `(units, words)`.

    Returns:
        `(units, words, words)`, symmetric.
    """
    readings = counts.sum(1)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    weighed: Floats = pairs / np.maximum(readings - 1, 1)[:, None, None]
    return weighed


def krippendorff_alpha(table: Floats) -> Floats:
    """Return Krippendorff's nominal alpha, for any number of raters and readings missing anywhere.

    Args:
        table: Summed `coincidences`, `(..., words, words)`.

    Returns:
        `(...)`; a view alone is measured on `one_against_rest(table, view)`.
    """
    words = table.sum(-1)
    total = words.sum(-1)
    differing = total - np.trace(table, axis1=-2, axis2=-1)
    expected = total * total - (words * words).sum(-1)
    return 1 - _ratio((total - 1) * differing, expected)


def one_against_rest(table: Floats, word: int) -> Floats:
    """Merge all words but one: `(..., words, words)` to `(..., 2, 2)`."""
    mine = table[..., word, word]
    row, column = table[..., word, :].sum(-1) - mine, table[..., :, word].sum(-1) - mine
    rest = table.sum((-2, -1)) - mine - row - column
    return np.stack([np.stack([mine, row], -1), np.stack([column, rest], -1)], -2)


def fleiss_sums(counts: Floats) -> Floats:
    """Return what Fleiss' kappa needs of each unit: readings by word, and their squares, `(units, 2, words)`."""
    return np.stack([counts, counts * counts], 1)


def fleiss_kappa(sums: Floats, readings: int, word: int | None = None) -> Floats:
    """Return Fleiss' kappa of units that were each read equally often.

    Args:
        sums: Summed `fleiss_sums`, `(..., 2, words)`.
        readings: Of each unit, at least 2.
        word: For the kappa of one word against the rest (Fleiss 1971, section 3); None for all.

    Returns:
        `(...)`.
    """
    total = sums[..., 0, :].sum(-1)  # readings of all units
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = sums[..., 0, :] / total[..., None]
        if word is None:
            observed = (sums[..., 1, :].sum(-1) / total - 1) / (readings - 1)
            expected = (shares * shares).sum(-1)
        else:
            share = shares[..., word]
            squares = sums[..., 1, word]
            rest = readings * total - 2 * readings * sums[..., 0, word] + squares  # squares of all other words together
            observed = ((squares + rest) / total - 1) / (readings - 1)
            expected = share * share + (1 - share) ** 2
    return _ratio(observed - expected, 1 - expected)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide, NaN where the divisor is nothing but rounding."""
    known = np.isfinite(below) & (np.abs(below) > 1e-12)
    out: Floats = np.full(np.shape(below), np.nan)
    return np.divide(above, below, out=out, where=known)
