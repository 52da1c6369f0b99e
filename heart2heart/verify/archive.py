"""Reads the identities in the headers of an archive: every file that ingest reads, those in zip files too."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from heart2heart.errors import MissingInputError
from heart2heart.verify.containers import archive_kind, inflated_raw, members
from heart2heart.verify.dicom_elements import (
    DicomElement,
    DicomReadError,
    decode_text,
    looks_like_dicom,
    read_elements,
    read_syntax,
)
from heart2heart.verify.headers import compared_tags
from heart2heart.verify.identities import Identities, parse_day
from heart2heart.verify.limits import READ_ERRORS, Budget, LimitError
from heart2heart.verify.spellings import is_own_word

_IDS = frozenset({
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "DeviceSerialNumber", "StationName",
    "MedicalRecordLocator", "AdmissionID", "IssuerOfPatientID", "PatientTelephoneNumbers", "DeviceUID",
    "ServiceEpisodeID", "RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID",
    "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest", "MilitaryRank",
})  # fmt: skip
_TEXTS = frozenset({
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "PatientAddress", "PatientComments",
    "ImageComments", "AdditionalPatientHistory", "StudyComments", "EthnicGroup", "Occupation",
})  # fmt: skip
_DESCRIPTIONS = frozenset({
    "StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription", "ImageComments",
    "PerformedProcedureStepDescription", "ReasonForStudy", "ReasonForTheRequestedProcedure", "VisitComments",
    "RequestedProcedureComments", "CommentsOnThePerformedProcedureStep", "AdmittingDiagnosesDescription",
    "RequestAttributesComments", "DerivationDescription", "CurrentPatientLocation", "RequestingService",
    "ScheduledProcedureStepDescription", "PatientAddress", "PatientComments", "AdditionalPatientHistory",
    "StudyComments", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName",
})  # fmt: skip
_FREE_TEXT_VRS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_WORD = re.compile(r"[^\W\d_]{6,}")
_MAX_ZIP_DEPTH = 3  # as ingest opens
_IN_MEMORY = 16 * 2**20
_LONGEST_TEXT = 2**14  # characters of a text whose words are searched for


def collect_identities(archives: Sequence[Path]) -> Identities:
    """Read the identities of every DICOM file at or below `archives`, those in zip files too.

    Raises:
        MissingInputError: a path does not exist, or there is no DICOM file.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.verify import collect_identities
        >>> len(collect_identities([Path("hospital")]).exact) > 0
        True
    """
    identities = Identities()
    for root in archives:
        if not root.exists():
            raise MissingInputError("no such file or folder", where=root)
        identities.add("path", str(root.absolute()))
        for path in filter(Path.is_file, files_below(root)):
            if path != root and path.parent != root:
                identities.add("path", str(path.relative_to(root)))
            try:
                with path.open("rb") as handle:
                    _read_file(handle, identities, Budget.of_file(path.stat().st_size), 0)
            except OSError as error:
                identities.files += 1
                identities.unread.append(f"file cannot be read ({type(error).__name__})")
    if identities.files == identities.not_dicom:
        raise MissingInputError("no DICOM file found", where=", ".join(map(str, archives)))
    identities.judge_recent_births_together()
    return identities


def files_below(root: Path) -> Iterator[Path]:
    """Yield what is at and below `root` and is no folder, also hidden and behind links, sorted; each folder once."""
    if root.is_file():
        yield root
        return
    entered: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(folder) / name for name in sorted(names))


def _read_file(handle: IO[bytes], identities: Identities, budget: Budget, depth: int) -> None:
    """Add the identities of one file, or of each file in a zip file; count what cannot be read."""
    first = handle.read(512)
    handle.seek(0)
    try:
        if archive_kind(first) == "zip" and depth < _MAX_ZIP_DEPTH:
            _read_zip(handle, identities, budget, depth)
            return
        identities.files += 1
        if not looks_like_dicom(first):
            identities.not_dicom += 1
            return
        _read_dicom(handle, identities, budget)
    except LimitError as error:
        identities.unread.append(f"file {error}")
    except DicomReadError as error:
        identities.unread.append(f"DICOM file {error}")
    except READ_ERRORS as error:
        identities.unread.append(f"damaged file ({type(error).__name__})")


def _read_zip(handle: IO[bytes], identities: Identities, budget: Budget, depth: int) -> None:
    for name, pieces in members(handle, "zip", budget):
        if "/" in name:
            identities.add("path", name)
        if isinstance(pieces, str):
            identities.files += 1
            identities.unread.append(f"member of a zip file, {pieces}")
            continue
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
            try:
                for piece in pieces:
                    copy.write(piece)
            except LimitError:
                raise
            except READ_ERRORS as error:
                identities.files += 1
                identities.unread.append(f"damaged member of a zip file ({type(error).__name__})")
                continue
            copy.seek(0)
            _read_file(copy, identities, budget, depth + 1)


def _read_dicom(handle: IO[bytes], identities: Identities, budget: Budget) -> None:
    syntax, meta = read_syntax(handle)
    for element in meta:
        _add_element(identities, element)
    if not syntax.deflated:
        _add_all(identities, read_elements(handle, syntax), budget)
        return
    handle.seek(syntax.start)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        for piece in inflated_raw(handle, budget):
            copy.write(piece)
        _add_all(identities, read_elements(copy, replace(syntax, start=0)), budget)


def _add_all(identities: Identities, elements: Iterator[DicomElement], budget: Budget) -> None:
    for element in elements:
        budget.check_time()
        if element.damaged:
            identities.unread.append(f"element {element.name} does not fit its VR")
        _add_element(identities, element)


def _add_element(identities: Identities, element: DicomElement) -> None:
    from pydicom.datadict import keyword_for_tag

    keyword = keyword_for_tag(element.tag) or ""
    private = bool((element.tag >> 16) % 2)
    values = element.values
    if element.tag in compared_tags():
        identities.headers.setdefault(element.tag, set()).update(values)
    if private and element.vr in ("UN", "OB") and 0 < len(element.raw) <= _LONGEST_TEXT:
        text = decode_text(element.raw, "utf-8").strip("\0 ")
        values = (text,) if text.isprintable() else ()
    for value in values:
        _add_value(identities, keyword, element.vr, value)
        creator = private and 0x10 <= element.tag & 0xFFFF <= 0xFF
        if keyword in _DESCRIPTIONS or (private and not creator and element.vr in (*_FREE_TEXT_VRS, "UN", "OB")):
            _add_words(identities, value)


def _add_value(identities: Identities, keyword: str, vr: str, value: str) -> None:
    if vr == "PN":
        identities.add("name", value)
    elif vr == "UI" and not value.startswith("1.2.840.10008."):
        identities.add("uid", value)
    elif vr in ("DA", "DT"):
        day = parse_day(value)
        if vr == "DT" and len(value) >= 14 and value[:14].isdecimal():
            identities.add("moment", value[:14])
        if day is not None and keyword == "PatientBirthDate":
            identities.add("date", day.isoformat())
        elif day is not None:
            identities.days.add(day)
    elif keyword in _IDS:
        identities.add("id", value)
        if keyword in ("PatientID", "OtherPatientIDs") and 0 < len(value.encode()) < 4:
            identities.short.add(value)
    elif keyword in _TEXTS:
        identities.add("text", value)


def _add_words(identities: Identities, value: str) -> None:
    """Add the words of a description or a private value that no output contains anyway, and the whole value."""
    words = [word for word in _WORD.findall(value[:_LONGEST_TEXT]) if not is_own_word(word)]
    for word in words:
        identities.add("word", word)
    if words and len(value) <= 256:
        identities.add("text", value)
