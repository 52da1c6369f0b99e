"""Finds study dates that were not moved.

They are judged over all files together, because the shifted date of one patient may be the true date of another.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator

from heart2heart.verify.streams import stream_blocks

_DATE = re.compile(rb"(?<![0-9A-Za-z])((?:19|20)\d\d)([-./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?![0-9A-Za-z])")
_OVERLAP = 11  # bytes of a date, and of the character before it
_MAX_SHIFT_DAYS = 3652  # days over which a shift may move a date
_SIGNIFICANCE = 1e-3  # probability below which the agreement is not chance


def scan_dates(chunks: Iterable[bytes], days: set[datetime.date]) -> Iterator[bytes]:
    """Yield a text block by block, and add every date in it that begins with the year to `days`."""
    held, first = b"", True
    for block in stream_blocks(chunks):
        held += block
        days.update(_dates_in(held, first=first, last=False))
        held, first = held[-_OVERLAP:], first and len(held) <= _OVERLAP
        yield block
    days.update(_dates_in(held, first=first, last=True))


def _dates_in(text: bytes, *, first: bool, last: bool) -> Iterator[datetime.date]:
    """Yield the dates in a block of a text; a date at an inner boundary is left to the next block."""
    for match in _DATE.finditer(text):
        if (match.start() or first) and (match.end() < len(text) or last):
            try:
                yield datetime.date(int(match[1]), int(match[3]), int(match[4]))
            except ValueError:
                continue  # 31 February


def match_dates(written: set[datetime.date], true: set[datetime.date]) -> int:
    """Return how many of the `written` days are `true` study days, or 0 when that may be chance.

    The probability of at least as many is binomial: each written day falls on a true one as often as true days fill
    their own span and the range of a shift.
    """
    from scipy.stats import binom

    same = len(written & true)
    if not same:
        return 0
    share = len(true) / ((max(true) - min(true)).days + 1 + _MAX_SHIFT_DAYS)
    return same if float(binom.sf(same - 1, len(written), share)) < _SIGNIFICANCE else 0
