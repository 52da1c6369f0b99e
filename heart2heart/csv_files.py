"""CSV files in which no text is a formula for a spreadsheet program."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import TextIO

_FORMULA = r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"  # also the full-width signs, which Excel takes as well


def escape_formula(text: str) -> str:
    """Return a text for a cell of a CSV file that no spreadsheet program takes for a formula.

    A text that begins with `=`, `+`, `-`, `@`, a tab or a line end gets an apostrophe in front; so does one that begins
    with apostrophes and then such a sign, so that `restore_formula` undoes it.

    Examples:
        >>> escape_formula("=1+1"), escape_formula("A4C")
        ("'=1+1", 'A4C')
    """
    return f"'{text}" if re.match(_FORMULA, text) else text


def restore_formula(text: str) -> str:
    """Return the text that `escape_formula` changed.

    Examples:
        >>> restore_formula("'=1+1"), restore_formula("A4C")
        ('=1+1', 'A4C')
    """
    return text[1:] if re.match(f"'{_FORMULA}", text) else text


_QUOTED_ENDS = "\r\n"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


class CsvWriter:
    r"""Writes rows of CSV in which no text is a formula for a spreadsheet program; plain numbers stay as they are.

    Args:
        handle: An open text file, or `io.StringIO`.
        lineterminator: End of a line.

    Examples:
        >>> import io
        >>> text = io.StringIO()
        >>> CsvWriter(text).writerow(["=1+1", "-0.5", 3])
        >>> text.getvalue()
        "'=1+1,-0.5,3\n"
    """

    def __init__(self, handle: TextIO, lineterminator: str = "\n") -> None:
        self._handle, self._end, self._line = handle, lineterminator, io.StringIO(newline="")
        # With another line end the module leaves a carriage return in a text unquoted, and readers begin a row there.
        self._writer = csv.writer(self._line, lineterminator=_QUOTED_ENDS)

    def writerow(self, row: Iterable[object]) -> None:
        """Write one row."""
        self._line.seek(0)
        self._line.truncate()
        self._writer.writerow([_cell(value) for value in row])
        self._handle.write(self._line.getvalue().removesuffix(_QUOTED_ENDS) + self._end)

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write several rows."""
        for row in rows:
            self.writerow(row)


def _cell(value: object) -> object:
    return escape_formula(value) if isinstance(value, str) and not re.fullmatch(_NUMBER, value) else value
