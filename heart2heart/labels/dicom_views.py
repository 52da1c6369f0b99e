"""Reads and writes views in DICOM: View Code Sequence in images, Image View in structured reports.

The codes are those of CID 12226, in SNOMED CT or the older SNOMED-RT. Identifiers in a header become pseudonyms with
the hospital's key, as in ingest. They are never kept or shown: messages name files by their number.

Written reports follow TID 1500 "Measurement Report" with an Image Library (TID 1600) and one Measurement Group
(TID 1501) for each clip: its source image, and Image View (111031, DCM) as a qualitative evaluation. CID 12226 has no
code for A5C and OTHER. They have codes of a private scheme, which the report identifies (PS3.3 section C.12.1, PS3.16).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydicom import Dataset

from heart2heart.deidentify.pseudonyms import Pseudonymizer
from heart2heart.deidentify.vocabulary import coded_view as view_of
from heart2heart.dicom.header_values import DECODE_ERRORS, text
from heart2heart.dicom.implementation import IMPLEMENTATION_CLASS_UID
from heart2heart.labels.clip_index import NOT_INGESTED, ClipIndex
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.parsed_labels import ParsedLabels
from heart2heart.labels.structured_report import (
    MAX_DEPTH,
    SOURCE,
    SR_SOP_CLASSES,
    coded_entry,
    coded_item,
    concept_code,
    dicom_headers,
    image_item,
    measurement_group,
    structured_report,
    text_item,
    uid_item,
)
from heart2heart.schema.clip_answer import MODEL_OBSERVER_PREFIX
from heart2heart.schema.taxonomy import Taxonomy
from heart2heart.schema.views import View

IMAGE_VIEW, DEVICE_NAME, PERSON_NAME = "111031", "121013", "121008"
"""DCM codes of the concepts Image View (TID 5203), Device Observer Name (TID 1004), Person Observer Name (TID 1003)."""
CONSENSUS_DEVICE_PREFIX = "heart2heart consensus "
"""Start of the Device Observer Name in heart2heart's reports; the consensus rule follows."""


def read_dicom_views(folder: Path, clips: ClipIndex, taxonomy: Taxonomy, *, reports: bool) -> ParsedLabels:
    """Return the views of clips that the DICOM files below a folder name.

    Args:
        folder: The folder, or one file.
        clips: Index of the clips, with the hospital's key.
        taxonomy: The views of the label store; a code means the finest of them.
        reports: Read structured reports; otherwise the View Code Sequence of images.

    Raises:
        LabelError: no key was given.
    """
    pseudonyms = clips.need_key("labels in DICOM files", folder)
    if reports:
        return _read_reports(folder, clips, taxonomy, pseudonyms)
    parsed = ParsedLabels("file")
    for file_number, header in enumerate(dicom_headers(folder), start=1):
        parsed.rows = file_number
        is_image = header is not None and text(header, "SOPClassUID") not in SR_SOP_CLASSES
        view = view_of(header, taxonomy.view_from_code) if header is not None and is_image else None
        if header is None or view is None:
            parsed.without_view += 1
            continue
        clip = clips.by_instance(pseudonyms, text(header, "SOPInstanceUID"))
        if clip is None:
            parsed.add_unknown_clip(file_number, NOT_INGESTED)
        else:
            parsed.add_once(file_number, LabelEvent(clip, "", view, "view_code", "", "dicom:view_code"))
    return parsed


def _read_reports(folder: Path, clips: ClipIndex, taxonomy: Taxonomy, pseudonyms: Pseudonymizer) -> ParsedLabels:
    parsed = ParsedLabels("entry")
    for header in dicom_headers(folder):
        if header is None or text(header, "SOPClassUID") not in SR_SOP_CLASSES:
            continue
        try:
            rater, entries = observer_name(header, pseudonyms), list(_image_views(header, 0))
        except DECODE_ERRORS:
            continue
        if rater is None:
            continue
        for uid, code, scheme in entries:
            parsed.rows += 1
            view = taxonomy.view_from_code(code, scheme)
            clip = clips.by_instance(pseudonyms, uid)
            if view is None:
                parsed.without_view += 1
            elif clip is None:
                parsed.add_unknown_clip(parsed.rows, NOT_INGESTED)
            else:
                parsed.add_once(parsed.rows, LabelEvent(clip, "", view, rater, "", "dicom:sr"))
    return parsed


def _image_views(item: Dataset, depth: int) -> Iterator[tuple[str, str, str]]:
    """Yield SOP Instance UID, code and scheme of each Image View that is a child or a sibling of an image."""
    if depth > MAX_DEPTH:
        return
    children = list(item.get("ContentSequence") or ())
    codes = [child for child in children if text(child, "ValueType") == "CODE" and concept_code(child) == IMAGE_VIEW]
    if codes:
        images = [item] if text(item, "ValueType") == "IMAGE" else []
        images += [child for child in children if text(child, "ValueType") == "IMAGE"]
        value = codes[0].ConceptCodeSequence[0]
        for image in images:
            uid = text(image.ReferencedSOPSequence[0], "ReferencedSOPInstanceUID")
            yield uid, text(value, "CodeValue"), text(value, "CodingSchemeDesignator")
    for child in children:
        yield from _image_views(child, depth + 1)


def observer_name(report: Dataset, pseudonyms: Pseudonymizer) -> str | None:
    """Return `consensus:RULE` for our reports, a keyed pseudonym for a person, None for a model, else `sr`."""
    items = {concept_code(item): item for item in report.get("ContentSequence") or ()}
    device = text(items[DEVICE_NAME], "TextValue") if DEVICE_NAME in items else ""
    if device.startswith(MODEL_OBSERVER_PREFIX):
        return None  # its answers are no labels
    if device.startswith(CONSENSUS_DEVICE_PREFIX):
        return f"consensus:{device.removeprefix(CONSENSUS_DEVICE_PREFIX)}"
    person = text(items[PERSON_NAME], "PersonName") if PERSON_NAME in items else ""
    return f"sr:{pseudonyms.key.digest('rater', person).hex()[:12]}" if person else "sr"


def make_structured_report(headers: Sequence[Dataset], views: Mapping[str, View], rule: str) -> Dataset:
    """Build the report of one study.

    Args:
        headers: The original headers of the study's clips.
        views: View of those clips, by SOP Instance UID.
        rule: Name of the consensus rule of the views.
    """
    groups = []
    for clip_number, header in enumerate(headers, start=1):
        view = views[str(header.SOPInstanceUID)]
        value = coded_entry(view.code, view.title, view.scheme)
        finding = coded_item("CONTAINS", coded_entry(IMAGE_VIEW, "Image View"), value)
        groups.append(measurement_group(clip_number, image_item(header, coded_entry(*SOURCE)), [finding]))
    observer = [
        coded_item("HAS OBS CONTEXT", coded_entry("121005", "Observer Type"), coded_entry("121007", "Device")),
        uid_item(coded_entry("121012", "Device Observer UID"), str(IMPLEMENTATION_CLASS_UID)),
        text_item(
            "HAS OBS CONTEXT", coded_entry(DEVICE_NAME, "Device Observer Name"), f"{CONSENSUS_DEVICE_PREFIX}{rule}"
        ),
    ]
    return structured_report(headers, observer, groups, "Views of clips")
