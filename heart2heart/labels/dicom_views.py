"""Reads and writes views in DICOM: View Code Sequence in images, Image View in structured reports.

The codes are those of CID 12226, in SNOMED CT or the older SNOMED-RT. Identifiers in a header become pseudonyms with
the hospital's key, as in ingest. They are never kept or shown: messages name files by their number.

Written reports follow TID 1500 "Measurement Report" with an Image Library (TID 1600) and one Measurement Group
(TID 1501) for each clip: its source image, and Image View (111031, DCM) as a qualitative evaluation. CID 12226 has no
code for A5C and OTHER. They have codes of a private scheme, which the report identifies (PS3.3 section C.12.1, PS3.16).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
)

from heart2heart.deidentify.pseudonyms import Pseudonymizer
from heart2heart.deidentify.vocabulary import coded_view as view_of
from heart2heart.dicom.header_values import DECODE_ERRORS, text
from heart2heart.dicom.implementation import IMPLEMENTATION_CLASS_UID
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
from heart2heart.labels.clip_index import NOT_INGESTED, ClipIndex
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.parsed_labels import ParsedLabels
from heart2heart.schema.clip_answer import MODEL_OBSERVER_PREFIX
from heart2heart.schema.taxonomy import Taxonomy
from heart2heart.schema.views import PRIVATE_SCHEME, View

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
    from heart2heart.ingest.source_files import find_files, unpacked

    for path in find_files([folder]):
        header = None
        with suppress(DicomError), unpacked(path) as unpacked_path, open_dicom(unpacked_path) as dicom_file:
            header = dicom_file.header
        yield header


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
            rater, entries = _rater(header, pseudonyms), list(_image_views(header, 0))
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


def _rater(report: Dataset, pseudonyms: Pseudonymizer) -> str | None:
    """Return `consensus:RULE` for our reports, a keyed pseudonym for a person, None for a model, else `sr`."""
    items = {_concept_code(item): item for item in report.get("ContentSequence") or ()}
    device = text(items[DEVICE_NAME], "TextValue") if DEVICE_NAME in items else ""
    if device.startswith(MODEL_OBSERVER_PREFIX):
        return None  # its answers are no labels
    if device.startswith(CONSENSUS_DEVICE_PREFIX):
        return f"consensus:{device.removeprefix(CONSENSUS_DEVICE_PREFIX)}"
    person = text(items[PERSON_NAME], "PersonName") if PERSON_NAME in items else ""
    return f"sr:{pseudonyms.key.digest('rater', person).hex()[:12]}" if person else "sr"


_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_SERIES = 9000  # series number: above those of a scanner
_REQUIRED = tuple(name for name in _PATIENT_AND_STUDY if name != "IssuerOfPatientID")


def new_uid() -> str:
    """Return a new UID: 2.25 and a random UUID (PS3.5 annex B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def make_structured_report(headers: Sequence[Dataset], views: Mapping[str, View], rule: str) -> Dataset:
    """Build the report of one study.

    Args:
        headers: The original headers of the study's clips.
        views: View of those clips, by SOP Instance UID.
        rule: Name of the consensus rule of the views.
    """
    now = datetime.now(UTC).astimezone()  # local, as the study's own times are
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = ComprehensiveSRStorage
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID = UID(new_uid())
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    report.SpecificCharacterSet = headers[0].get("SpecificCharacterSet", "ISO_IR 100")
    for name in _PATIENT_AND_STUDY:
        if name in headers[0]:
            report[name] = headers[0][name]
        elif name in _REQUIRED:
            setattr(report, name, "")
    if headers[0].get("SyntheticData") == "YES":
        report.SyntheticData = "YES"
    report.Modality, report.SeriesInstanceUID, report.SeriesNumber = "SR", new_uid(), _SERIES
    report.SeriesDescription = "Views of clips"
    report.Manufacturer, report.ManufacturerModelName = "heart2heart", "heart2heart"
    report.ReferencedPerformedProcedureStepSequence, report.PerformedProcedureCodeSequence = [], []
    report.InstanceNumber, report.CompletionFlag, report.VerificationFlag = 1, "COMPLETE", "UNVERIFIED"
    report.ContentDate, report.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(headers)]
    if any(view.scheme == PRIVATE_SCHEME for view in views.values()):
        scheme = Dataset()
        scheme.CodingSchemeDesignator, scheme.CodingSchemeName = PRIVATE_SCHEME, "heart2heart view taxonomy"
        scheme.CodingSchemeResponsibleOrganization = "The heart2heart developers"
        report.CodingSchemeIdentificationSequence = [scheme]
    report.update(_content(headers, views, rule))
    return report


def _evidence(headers: Sequence[Dataset]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = headers[0].StudyInstanceUID
    by_series: dict[str, list[Dataset]] = {}
    for header in headers:
        by_series.setdefault(str(header.SeriesInstanceUID), []).append(_reference(header))
    study.ReferencedSeriesSequence = []
    for uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = uid, references
        study.ReferencedSeriesSequence.append(series)
    return study


def _reference(header: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return reference


def _content(headers: Sequence[Dataset], views: Mapping[str, View], rule: str) -> Dataset:
    library = _container("111028", "Image Library", [_container("126200", "Image Library Group",
        [_image(header) for header in headers])], template="1600")  # fmt: skip
    groups = []
    for index, header in enumerate(headers, start=1):
        view = views[str(header.SOPInstanceUID)]
        groups.append(_container("125007", "Measurement Group", [
            _text("112039", "Tracking Identifier", f"clip {index}", "HAS OBS CONTEXT"),
            _uid("112040", "Tracking Unique Identifier", new_uid()),
            _image(header, _code("260753009", "Source", "SCT")),
            _coded("CONTAINS", (IMAGE_VIEW, "Image View"), _code(view.code, view.title, view.scheme)),
        ], template="1501"))  # fmt: skip
    root = _container("126000", "Imaging Measurement Report", [
        _coded("HAS CONCEPT MOD", ("121049", "Language of Content Item and Descendants"),
               _code("en", "English", "RFC5646")),
        _coded("HAS OBS CONTEXT", ("121005", "Observer Type"), _code("121007", "Device", "DCM")),
        _uid("121012", "Device Observer UID", str(IMPLEMENTATION_CLASS_UID)),
        _text(DEVICE_NAME, "Device Observer Name", f"{CONSENSUS_DEVICE_PREFIX}{rule}", "HAS OBS CONTEXT"),
        _coded("HAS CONCEPT MOD", ("121058", "Procedure Reported"), _code("40701008", "Echocardiography", "SCT")),
        library,
        _container("126010", "Imaging Measurements", groups),
    ], template="1500")  # fmt: skip
    del root.RelationshipType
    return root


def _code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _item(kind: str, relation: str, name: Dataset | None) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    if name is not None:
        item.ConceptNameCodeSequence = [name]
    return item


def _container(value: str, meaning: str, items: Sequence[Dataset], template: str | None = None) -> Dataset:
    container = _item("CONTAINER", "CONTAINS", _code(value, meaning))
    container.ContinuityOfContent, container.ContentSequence = "SEPARATE", list(items)
    if template is not None:
        identified = Dataset()
        identified.MappingResource, identified.TemplateIdentifier = "DCMR", template
        container.ContentTemplateSequence = [identified]
    return container


def _coded(relation: str, name: tuple[str, str], value: Dataset) -> Dataset:
    item = _item("CODE", relation, _code(*name))
    item.ConceptCodeSequence = [value]
    return item


def _text(value: str, meaning: str, content: str, relation: str) -> Dataset:
    item = _item("TEXT", relation, _code(value, meaning))
    item.TextValue = content
    return item


def _uid(value: str, meaning: str, uid: str) -> Dataset:
    item = _item("UIDREF", "HAS OBS CONTEXT", _code(value, meaning))
    item.UID = uid
    return item


def _image(header: Dataset, name: Dataset | None = None) -> Dataset:
    item = _item("IMAGE", "CONTAINS", name)
    item.ReferencedSOPSequence = [_reference(header)]
    return item
