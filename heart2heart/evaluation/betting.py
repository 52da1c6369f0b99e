"""Tests by betting: they may be looked at after every patient, and the false alarms of all looks together are bounded.

Capital of 1 is bet on each observation at fair odds if nothing has changed. By Ville's inequality the capital then
reaches 1 / alpha with a probability of at most alpha, whenever one looks. Two kinds of bets are placed here:

Exchangeability: the rank of an observation among the reference and all observations before it is uniform if nothing has
changed (conformal test martingale; Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005, 7.1).

A bounded mean: observations in [0, 1] whose mean is at least a number (Waudby-Smith and Ramdas, "Estimating means of
bounded random variables by betting", JRSS B 2024).

The change may begin in any week, so the capital is divided among bets that begin at the starts of the weeks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints

_SLOPES = (-0.9, -0.6, -0.3, 0.3, 0.6, 0.9)
_SPREADS = (-0.9, 0.9)
_MEAN_BETS = (0.1, 0.2, 0.35, 0.5, 0.7)
_GRID = 1001


def conformal_ranks(reference: Sequence[float], values: Sequence[float], uniform: Sequence[float]) -> Floats:
    """Return the rank of each value among the reference and the values before it, between 0 and 1.

    The ranks are independent and uniform if reference and values are exchangeable. Ties are broken by `uniform`.

    Args:
        reference: Values of the reference.
        values: New values, in order.
        uniform: Independent numbers between 0 and 1, one a value.

    Returns:
        `(len(values),)`; 0 is the largest value so far.

    Examples:
        >>> conformal_ranks([1.0, 2.0, 3.0], [4.0, 0.0], [0.5, 0.5]).tolist()
        [0.125, 0.9]
    """
    seen = sorted(reference)
    ranks = np.empty(len(values))
    for index, (value, chance) in enumerate(zip(values, uniform, strict=True)):
        larger = len(seen) - bisect_right(seen, value)
        equal = len(seen) - larger - bisect_left(seen, value) + 1
        ranks[index] = (larger + chance * equal) / (len(seen) + 1)
        insort(seen, value)
    return ranks


def rank_factors(ranks: Floats) -> Floats:
    """Return the factor by which each bet on ranks multiplies its capital `(n, bets)`.

    Bets on smaller and on larger values, and on ranks near or far from the middle; the mean of each factor is 1.

    Args:
        ranks: `(n,)`.
    """
    slopes = 1 + np.array(_SLOPES) * (2 * ranks[:, None] - 1)
    spreads = 1 + np.array(_SPREADS) * (6 * ranks[:, None] ** 2 - 6 * ranks[:, None] + 1)
    return np.concatenate([slopes, spreads], axis=1)


def mean_factors(values: Floats, least: float) -> Floats:
    """Return the factors of bets that the mean of values in [0, 1] is below `least` `(n, bets)`.

    The mean of each factor is at most 1 while the mean of the values is at least `least`.

    Examples:
        >>> mean_factors(np.array([0.0, 1.0]), 0.8)[:, 0].round(2).tolist()
        [1.4, 0.9]
    """
    return 1 + np.array(_MEAN_BETS) / (1 - least) * (least - values[:, None])


def capital(factors: Floats, week: Ints, weeks: int) -> Floats:
    """Return the capital after each observation.

    A share of 1 / weeks begins to bet at the start of each week, divided among the bets; before that it is kept.

    Args:
        factors: Factor of each bet, above 0 `(n, bets)`.
        week: Week of each observation, from 0, not decreasing `(n,)`; weeks without an observation count too.
        weeks: Number of weeks at whose start a share begins; after them the shares bet on.

    Returns:
        `(n,)`.

    Examples:
        >>> capital(np.array([[2.0], [2.0]]), np.array([0, 1]), 2).tolist()
        [1.5, 3.0]
    """
    logs = np.concatenate([np.zeros((1, factors.shape[1])), np.cumsum(np.log(factors), axis=0)])
    total = np.zeros(len(factors))
    for start in range(weeks):
        first = int(np.searchsorted(week, start))
        grown = np.exp(np.minimum(logs[first + 1 :] - logs[first], 600)).mean(1)
        total += np.concatenate([np.ones(first), grown]) / weeks
    return total


def confidence_sequence(values: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return an interval of the mean after each value; all of them together hold it with probability 1 - alpha.

    Bets on a larger and on a smaller mean share the capital; a mean is left out once its capital reached 1 / alpha
    (Waudby-Smith and Ramdas 2024, section 4, with fixed bets instead of predictable ones).

    Args:
        values: Between 0 and 1 `(n,)`.
        alpha: Probability that any of the intervals misses the mean.

    Returns:
        Lower and upper ends `(n,)`, on a grid of thousandths.

    Examples:
        >>> low, high = confidence_sequence(np.tile([0.4, 0.6], 100), 0.05)
        >>> round(float(low[-1]), 2), round(float(high[-1]), 2)
        (0.48, 0.52)
    """
    means = np.linspace(0, 1, _GRID)
    gain = values[:, None] - means
    total = np.zeros_like(gain)
    for bet in _MEAN_BETS:
        for slope in (bet / np.maximum(means, 1 / _GRID), -bet / np.maximum(1 - means, 1 / _GRID)):
            total += np.exp(np.minimum(np.cumsum(np.log1p(slope * gain), axis=0), 600)) / (2 * len(_MEAN_BETS))
    kept = np.maximum.accumulate(total, axis=0) < 1 / alpha
    low = np.where(kept.any(1), means[np.argmax(kept, axis=1)], np.nan)
    high = np.where(kept.any(1), means[_GRID - 1 - np.argmax(kept[:, ::-1], axis=1)], np.nan)
    return np.maximum(low - 1 / _GRID, 0.0), np.minimum(high + 1 / _GRID, 1.0)
