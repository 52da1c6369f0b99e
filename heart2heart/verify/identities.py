"""The identities to search for: planted ones, or those in the headers of an archive, held in memory."""

from __future__ import annotations

import csv
import datetime
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.errors import ConfigError, MissingInputError

IDENTITY_KINDS = ("name", "id", "uid", "date", "text")
"""Kinds of a planted identity: a person's name, a number or code, a UID, a date (YYYY-MM-DD), any other text."""

_MIN_LENGTH = 4  # bytes; shorter values occur everywhere by chance
_MAX_SHIFT = datetime.timedelta(days=3652)  # by which the shift of a patient may move a date


@dataclass
class Identities:
    """Identities by kind; they stay in memory and are never shown.

    Attributes:
        exact: Pairs of kind and value, searched for everywhere.
        days: Study dates of an archive. A shifted date may fall on one by chance, so these are judged together.
        headers: Values of each tag of the archive's files, by tag number, for the comparison of headers.
        short: Names and patient identifiers that are too short to be searched for.
        files: Files of the archive.
        not_dicom: Files of the archive that are not DICOM.
        unread: Reasons why files or elements of the archive could not be read, one for each.
    """

    exact: set[tuple[str, str]] = field(default_factory=set, repr=False)
    days: set[datetime.date] = field(default_factory=set, repr=False)
    headers: dict[int, set[str]] = field(default_factory=dict, repr=False)
    short: set[str] = field(default_factory=set, repr=False)
    files: int = 0
    not_dicom: int = 0
    unread: list[str] = field(default_factory=list)

    def add(self, kind: str, value: str) -> None:
        """Add one value; short values are skipped, and short names and patient identifiers counted."""
        tidy = value.strip().strip("\0").strip()
        if len(tidy.encode()) >= _MIN_LENGTH and tidy.strip("^= "):
            self.exact.add((kind, tidy))
        elif kind == "name" and tidy.strip("^= "):
            self.short.add(tidy)

    def judge_recent_births_together(self) -> None:
        """Move the dates of birth that a shifted study date may equal from `exact` to `days`."""
        if not self.days:
            return
        first, last = min(self.days) - _MAX_SHIFT, max(self.days) + _MAX_SHIFT
        for kind, value in list(self.exact):
            day = parse_day(value) if kind == "date" else None
            if day is not None and first <= day <= last:
                self.exact.discard((kind, value))
                self.days.add(day)


def load_planted(path: Path) -> Identities:
    """Read planted identities from CSV with the columns `kind` and `value`.

    Raises:
        MissingInputError: no such file.
        ConfigError: another column, an unknown kind, a date that is none, or a value of fewer than four bytes.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except FileNotFoundError as error:
        raise MissingInputError("no file of planted identities here", where=path) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("this file cannot be read as CSV", where=path) from error
    identities = Identities()
    for line, row in enumerate(rows, start=2):
        kind, value = row.get("kind") or "", (row.get("value") or "").strip()
        short = len(value.encode()) < _MIN_LENGTH
        if kind not in IDENTITY_KINDS or short or (kind == "date" and parse_day(value) is None):
            remedy = f"Columns kind and value; kind is one of {', '.join(IDENTITY_KINDS)}; a date is YYYY-MM-DD"
            raise ConfigError(f"line {line} is not an identity to look for", where=path, remedy=remedy)
        identities.add(kind, value)
    if not identities.exact:
        raise ConfigError("no identity to look for", where=path, remedy="Write at least one line under kind,value")
    return identities


def parse_day(value: str) -> datetime.date | None:
    """Return the day at the beginning of a DICOM or ISO date; None if there is none."""
    digits = value.replace("-", "").replace(".", "")[:8]
    try:
        return datetime.datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None
