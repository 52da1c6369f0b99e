"""Gives a reason that many cells of a table share once, in a note below the table."""

from __future__ import annotations

import re
from collections import Counter
from string import ascii_lowercase

MOST_REPEATS = 2
"""A reason that occurs more often in one table is moved into a note."""

_TABLE = re.compile(r"<table.*?</table>", re.DOTALL)
_REASON = re.compile(
    r'(?P<nested><span class="ne">not estimable<span class="ci">(?P<first>[^<]*)</span></span>)'
    r'|<span class="ne">not estimable: (?P<second>[^<]*)</span>'
    r'|<span class="ci">no interval: (?P<third>[^<]*)</span>'
)


def fold_reasons(html: str) -> str:
    """Replace repeated reasons in the cells of each table by a letter, and list the letters below the table.

    Args:
        html: A page, with reasons as the macros of the templates write them.

    Examples:
        >>> cell = '<td><span class="ci">no interval: only one patient</span></td>'
        >>> fold_reasons(f"<table>{3 * cell}</table>").count("only one patient")
        1
    """
    return _TABLE.sub(lambda table: _fold_table(table[0]), html)


def _fold_table(table: str) -> str:
    counts = Counter(_text(match) for match in _REASON.finditer(table))
    repeated = [reason for reason, count in counts.items() if count > MOST_REPEATS]
    letters = {reason: _letter(index) for index, reason in enumerate(repeated)}
    if not letters:
        return table

    def shorten(match: re.Match[str]) -> str:
        letter = letters.get(_text(match))
        if letter is None:
            return match[0]
        if match["third"] is not None:
            return f'<span class="ci">no interval<sup>{letter}</sup></span>'
        return f'<span class="ne">not estimable<sup>{letter}</sup></span>'

    notes = "; ".join(f"<sup>{letter}</sup> {reason}" for reason, letter in letters.items())
    return f'{_REASON.sub(shorten, table)}\n<p class="note">{notes}.</p>'


def _text(match: re.Match[str]) -> str:
    return next(text for text in (match["first"], match["second"], match["third"]) if text is not None)


def _letter(index: int) -> str:
    """Return a, b ... z, aa, ab ..."""
    rest, last = divmod(index, len(ascii_lowercase))
    return (_letter(rest - 1) if rest else "") + ascii_lowercase[last]
