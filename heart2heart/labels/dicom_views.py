"""Reads the views that a hospital's DICOM files name: View Code Sequence in images, Image View in structured reports.

The codes are those of CID 12226, in SNOMED CT or the older SNOMED-RT. Identifiers in a header become pseudonyms with
the hospital's key, as in ingest. They are never kept or shown: messages name files by their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
)

from heart2heart.deidentify.pseudonyms import Pseudonymizer
from heart2heart.deidentify.vocabulary import coded_view as view_of
from heart2heart.dicom.header_values import DECODE_ERRORS, text
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.parsed_labels import ClipIndex, ParsedLabels
from heart2heart.schema.views import view_from_code

SR_SOP_CLASSES = frozenset((BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage))
IMAGE_VIEW, DEVICE_NAME, PERSON_NAME = "111031", "121013", "121008"
"""DCM codes of the concepts Image View (TID 5203), Device Observer Name (TID 1004), Person Observer Name (TID 1003)."""
CONSENSUS_DEVICE_PREFIX = "heart2heart consensus "
"""Start of the Device Observer Name in heart2heart's reports; the consensus rule follows."""

_MAX_DEPTH = 16


def dicom_headers(folder: Path) -> Iterator[Dataset | None]:
    """Yield the header of every file below a folder, in order, also in zip files; None for one that is not DICOM.

    Raises:
        MissingInputError: no such folder, or nothing in it.
    """
    from heart2heart.ingest.archives import unpacked
    from heart2heart.ingest.discover import find_files

    for path in find_files([folder]):
        header = None
        with suppress(DicomError), unpacked(path) as unpacked_path, open_dicom(unpacked_path) as dicom_file:
            header = dicom_file.header
        yield header


def read_dicom_views(folder: Path, clips: ClipIndex, *, reports: bool) -> ParsedLabels:
    """Return the views of clips that the DICOM files below a folder name.

    Args:
        folder: The folder, or one file.
        clips: Index of the clips, with the hospital's key.
        reports: Read structured reports; otherwise the View Code Sequence of images.

    Raises:
        LabelError: no key was given.
    """
    pseudonyms = clips.need_key("labels in DICOM files", folder)
    if reports:
        return _read_reports(folder, clips, pseudonyms)
    parsed = ParsedLabels("file")
    for number, header in enumerate(dicom_headers(folder), start=1):
        parsed.rows = number
        view = None if header is None or text(header, "SOPClassUID") in SR_SOP_CLASSES else view_of(header)
        if header is None or view is None:
            parsed.without_view += 1
            continue
        clip = clips.by_instance(pseudonyms, text(header, "SOPInstanceUID"))
        if clip is None:
            parsed.unknown_clip_rows.append(number)
        else:
            parsed.add_once(number, LabelEvent(clip, "", view, "view_code", "", "dicom:view_code"))
    return parsed


def _read_reports(folder: Path, clips: ClipIndex, pseudonyms: Pseudonymizer) -> ParsedLabels:
    parsed = ParsedLabels("entry")
    for header in dicom_headers(folder):
        if header is None or text(header, "SOPClassUID") not in SR_SOP_CLASSES:
            continue
        try:
            rater, entries = _rater(header, pseudonyms), list(_image_views(header, 0))
        except DECODE_ERRORS:
            continue
        for uid, code, scheme in entries:
            parsed.rows += 1
            view = view_from_code(code, scheme)
            clip = clips.by_instance(pseudonyms, uid)
            if view is None:
                parsed.without_view += 1
            elif clip is None:
                parsed.unknown_clip_rows.append(parsed.rows)
            else:
                parsed.add_once(parsed.rows, LabelEvent(clip, "", view, rater, "", "dicom:sr"))
    return parsed


def _image_views(item: Dataset, depth: int) -> Iterator[tuple[str, str, str]]:
    """Yield SOP Instance UID, code and scheme of each Image View that is a child or a sibling of an image."""
    if depth > _MAX_DEPTH:
        return
    children = list(item.get("ContentSequence") or ())
    codes = [child for child in children if text(child, "ValueType") == "CODE" and _concept_code(child) == IMAGE_VIEW]
    if codes:
        images = [item] if text(item, "ValueType") == "IMAGE" else []
        images += [child for child in children if text(child, "ValueType") == "IMAGE"]
        value = codes[0].ConceptCodeSequence[0]
        for image in images:
            uid = text(image.ReferencedSOPSequence[0], "ReferencedSOPInstanceUID")
            yield uid, text(value, "CodeValue"), text(value, "CodingSchemeDesignator")
    for child in children:
        yield from _image_views(child, depth + 1)


def _concept_code(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or ()
    return text(names[0], "CodeValue") if names else ""


def _rater(report: Dataset, pseudonyms: Pseudonymizer) -> str:
    """Return `consensus:RULE` for heart2heart's reports, a keyed pseudonym for a person, else `sr`."""
    items = {_concept_code(item): item for item in report.get("ContentSequence") or ()}
    device = text(items[DEVICE_NAME], "TextValue") if DEVICE_NAME in items else ""
    if device.startswith(CONSENSUS_DEVICE_PREFIX):
        return f"consensus:{device.removeprefix(CONSENSUS_DEVICE_PREFIX)}"
    person = text(items[PERSON_NAME], "PersonName") if PERSON_NAME in items else ""
    return f"sr:{pseudonyms.key.digest('rater', person).hex()[:12]}" if person else "sr"
