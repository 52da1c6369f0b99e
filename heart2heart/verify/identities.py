"""The identities to search for: planted ones, or those in the headers of an archive, held in memory."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.errors import ConfigError, MissingInputError

IDENTITY_KINDS = ("name", "id", "uid", "date", "text")
"""Kinds of a planted identity: a person's name, a number or code, a UID, a date (YYYY-MM-DD), any other text."""

_IDS = (
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "DeviceSerialNumber", "StationName",
    "MedicalRecordLocator", "AdmissionID", "IssuerOfPatientID", "PatientTelephoneNumbers", "DeviceUID",
)  # fmt: skip
_TEXTS = (
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "PatientAddress", "PatientComments",
    "ImageComments", "AdditionalPatientHistory", "StudyComments", "EthnicGroup", "Occupation",
)  # fmt: skip
_READ_ERRORS = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_MIN_LENGTH = 4  # characters; shorter values occur everywhere by chance


@dataclass
class Identities:
    """Identities by kind; they stay in memory and are never shown.

    Attributes:
        exact: Pairs of kind and value, searched for everywhere.
        days: Study dates of an archive. A shifted date may fall on one by chance, so these are judged together.
        headers: Values of each tag of the archive's files, by tag number, for the comparison of headers.
    """

    exact: set[tuple[str, str]] = field(default_factory=set, repr=False)
    days: set[datetime.date] = field(default_factory=set, repr=False)
    headers: dict[int, set[str]] = field(default_factory=dict, repr=False)

    def add(self, kind: str, value: str) -> None:
        """Add one value; short values are skipped."""
        tidy = value.strip().strip("\0").strip()
        if len(tidy) >= _MIN_LENGTH:
            self.exact.add((kind, tidy))


def load_planted(path: Path) -> Identities:
    """Read planted identities from CSV with the columns `kind` and `value`.

    Raises:
        MissingInputError: no such file.
        ConfigError: another column, an unknown kind, a date that is none, or a value of fewer than four characters.
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
        if kind not in IDENTITY_KINDS or len(value) < _MIN_LENGTH or (kind == "date" and _day(value) is None):
            remedy = f"Columns kind and value; kind is one of {', '.join(IDENTITY_KINDS)}; a date is YYYY-MM-DD"
            raise ConfigError(f"line {line} is not an identity to look for", where=path, remedy=remedy)
        identities.add(kind, value)
    if not identities.exact:
        raise ConfigError("no identity to look for", where=path, remedy="Write at least one line under kind,value")
    return identities


def collect_identities(archives: Sequence[Path]) -> Identities:
    """Read the identities of every DICOM file at or below `archives`.

    Raises:
        MissingInputError: a path does not exist, or there is no DICOM file.
    """
    identities, files = Identities(), 0
    for root in archives:
        if not root.exists():
            raise MissingInputError("no such file or folder", where=root)
        identities.add("path", str(root.absolute()))
        for path in [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file()):
            try:
                files += _read(path, identities)
            except _READ_ERRORS:
                continue  # not DICOM, or damaged beyond its first elements
            if path != root and path.parent != root:
                identities.add("path", str(path.relative_to(root)))
    if not files:
        raise MissingInputError("no DICOM file found", where=", ".join(map(str, archives)))
    return identities


def _read(path: Path, identities: Identities) -> int:
    import warnings

    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path, force=True, stop_before_pixels=True)
        if "SOPClassUID" not in dataset and "PatientID" not in dataset:
            return 0
        for element in dataset.iterall():
            try:
                values = [str(value) for value in _several(element.value)]
            except _READ_ERRORS:
                continue
            identities.headers.setdefault(int(element.tag), set()).update(value for value in values if value)
            for value in values:
                _sort(identities, element.keyword, str(element.VR), value)
    return 1


def _several(value: object) -> Iterator[object]:
    from pydicom.multival import MultiValue
    from pydicom.sequence import Sequence as Items

    if isinstance(value, (MultiValue, list, tuple)) and not isinstance(value, Items):
        yield from value
    elif value is not None and not isinstance(value, (bytes, Items)):
        yield value


def _sort(identities: Identities, keyword: str, vr: str, value: str) -> None:
    if vr == "PN":
        identities.add("name", value)
    elif vr == "UI" and not value.startswith("1.2.840.10008."):
        identities.add("uid", value)
    elif vr in ("DA", "DT"):
        day = _day(value)
        if vr == "DT" and len(value) >= 14:
            identities.add("moment", value[:14])
        if day is not None and keyword == "PatientBirthDate":
            identities.add("date", day.isoformat())
        elif day is not None:
            identities.days.add(day)
    elif keyword in _IDS:
        identities.add("id", value)
    elif keyword in _TEXTS:
        identities.add("text", value)


def _day(value: str) -> datetime.date | None:
    digits = value.replace("-", "").replace(".", "")[:8]
    try:
        return datetime.datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None
