"""Were the study dates moved? Judged over all dates together, since a moved date may fall on another's true one."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

_WRITTEN = re.compile(rb"(?<![0-9A-Za-z])((?:19|20)\d\d)([-./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?![0-9A-Za-z])")
_SHIFT = 3652  # days over which a shift may move a date
_CHANCE = 1e-3  # probability below which the agreement is not chance


def days_in(text: bytes) -> Iterator[datetime.date]:
    """Yield every date written in `text` with the year first."""
    for found in _WRITTEN.finditer(text):
        try:
            yield datetime.date(int(found[1]), int(found[3]), int(found[4]))
        except ValueError:
            continue  # 31 February


def agree(written: set[datetime.date], true: set[datetime.date]) -> int:
    """Return how many of the `written` days are `true` study days, or 0 when that may be chance.

    The probability of at least as many is binomial: each written day falls on a true one as often as true days fill
    their own span and the range of a shift.
    """
    from scipy.stats import binom

    same = len(written & true)
    if not same:
        return 0
    share = len(true) / ((max(true) - min(true)).days + 1 + _SHIFT)
    return same if float(binom.sf(same - 1, len(written), share)) < _CHANCE else 0
