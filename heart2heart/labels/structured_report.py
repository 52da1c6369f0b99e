"""Builds DICOM structured reports on clips by TID 1500 "Measurement Report", and reads parts of any.

A report has an Image Library (TID 1600) and Measurement Groups (TID 1501), each of one clip or of some of its frames.
It is for the hospital's own archive: it carries the patient's name and the original UIDs.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
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

from heart2heart.dicom.header_values import text
from heart2heart.dicom.implementation import IMPLEMENTATION_CLASS_UID
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError, LabelError
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.schema.views import PRIVATE_SCHEME

SR_SOP_CLASSES = frozenset((BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage))
MANUFACTURER = "heart2heart"
"""Manufacturer of the reports that heart2heart writes."""
MAX_DEPTH = 16
"""Levels of nested items that are read."""

_REQUIRED_ATTRIBUTES = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


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


def original_headers(
    folder: Path, clips: ClipIndex, clip_names: Collection[str]
) -> tuple[list[list[Dataset]], dict[str, str]]:
    """Return the original headers of some clips, study by study, and the clip by SOP Instance UID.

    Args:
        folder: Folder of the files that were ingested.
        clips: Index of the clips, with the hospital's key.
        clip_names: Pseudonyms of the clips.

    Raises:
        LabelError: no file is one of these clips, because of another key or another folder.
    """
    pseudonyms = clips.need_key("structured reports", folder)
    # Archives hold studies under two patients by error. Each patient gets a report.
    studies: dict[tuple[str, str], list[Dataset]] = {}
    clip_by_uid: dict[str, str] = {}
    for header in dicom_headers(folder):
        if header is None or not all(text(header, name) for name in _REQUIRED_ATTRIBUTES):
            continue
        uid = text(header, "SOPInstanceUID")
        clip = clips.by_instance(pseudonyms, uid)
        if clip is not None and clip in clip_names and uid not in clip_by_uid:
            clip_by_uid[uid] = clip
            studies.setdefault((text(header, "StudyInstanceUID"), text(header, "PatientID")), []).append(header)
    if not studies:
        remedy = "Name the folder and the key of the ingest"
        raise LabelError("no file in this folder is a labeled clip of the store", where=folder, remedy=remedy)
    return list(studies.values()), clip_by_uid


_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_SERIES = 9000  # series number: above those of a scanner
_REQUIRED = tuple(name for name in _PATIENT_AND_STUDY if name != "IssuerOfPatientID")


def new_uid() -> str:
    """Return a new UID: 2.25 and a random UUID (PS3.5 annex B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def structured_report(
    headers: Sequence[Dataset], observer: Sequence[Dataset], groups: Sequence[Dataset], description: str
) -> Dataset:
    """Build the report of one study by TID 1500 "Measurement Report".

    Args:
        headers: The original headers of the study's clips.
        observer: Items of the observer (TID 1002).
        groups: Measurement groups, see `measurement_group`.
        description: Series Description.
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
    report.SeriesDescription = description
    report.Manufacturer, report.ManufacturerModelName = MANUFACTURER, MANUFACTURER
    report.ReferencedPerformedProcedureStepSequence, report.PerformedProcedureCodeSequence = [], []
    report.InstanceNumber, report.CompletionFlag, report.VerificationFlag = 1, "COMPLETE", "UNVERIFIED"
    report.ContentDate, report.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(headers)]
    if any(text(code, "CodingSchemeDesignator") == PRIVATE_SCHEME for code in _values(groups)):
        scheme = Dataset()
        scheme.CodingSchemeDesignator, scheme.CodingSchemeName = PRIVATE_SCHEME, "heart2heart view taxonomy"
        scheme.CodingSchemeResponsibleOrganization = "The heart2heart developers"
        report.CodingSchemeIdentificationSequence = [scheme]
    report.update(_content(headers, observer, groups))
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


def _content(headers: Sequence[Dataset], observer: Sequence[Dataset], groups: Sequence[Dataset]) -> Dataset:
    library = container_item("111028", "Image Library", [container_item("126200", "Image Library Group",
        [image_item(header) for header in headers])], template="1600")  # fmt: skip
    root = container_item("126000", "Imaging Measurement Report", [
        coded_item("HAS CONCEPT MOD", coded_entry("121049", "Language of Content Item and Descendants"),
                   coded_entry("en", "English", "RFC5646")),
        *observer,
        coded_item("HAS CONCEPT MOD", coded_entry("121058", "Procedure Reported"),
                   coded_entry("40701008", "Echocardiography", "SCT")),
        library,
        container_item("126010", "Imaging Measurements", groups),
    ], template="1500")  # fmt: skip
    del root.RelationshipType
    return root


def measurement_group(number: int, image: Dataset, findings: Sequence[Dataset]) -> Dataset:
    """Return a Measurement Group (TID 1501) of one image.

    Args:
        number: Number of the group in the report, from 1.
        image: The image, see `image_item`.
        findings: Qualitative evaluations of the image.
    """
    return container_item("125007", "Measurement Group", [
        text_item("HAS OBS CONTEXT", coded_entry("112039", "Tracking Identifier"), f"clip {number}"),
        uid_item(coded_entry("112040", "Tracking Unique Identifier"), new_uid()),
        image, *findings,
    ], template="1501")  # fmt: skip


def _values(groups: Sequence[Dataset]) -> Iterator[Dataset]:
    for group in groups:
        for item in group.ContentSequence:
            yield from item.get("ConceptCodeSequence") or ()


def content_items(item: Dataset, depth: int = 0) -> Iterator[Dataset]:
    """Yield an item of a report and all below it, as deep as `MAX_DEPTH`."""
    if depth <= MAX_DEPTH:
        yield item
        for child in item.get("ContentSequence") or ():
            yield from content_items(child, depth + 1)


def concept_code(item: Dataset) -> str:
    """Return the code value of the concept name of an item, or nothing."""
    names = item.get("ConceptNameCodeSequence") or ()
    return text(names[0], "CodeValue") if names else ""


def coded_entry(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    """Return a coded entry."""
    entry = Dataset()
    entry.CodeValue, entry.CodingSchemeDesignator, entry.CodeMeaning = value, scheme, meaning
    return entry


def _item(kind: str, relation: str, name: Dataset | None) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    if name is not None:
        item.ConceptNameCodeSequence = [name]
    return item


def container_item(value: str, meaning: str, items: Sequence[Dataset], template: str | None = None) -> Dataset:
    """Return an item that holds others, by the template of that number."""
    container = _item("CONTAINER", "CONTAINS", coded_entry(value, meaning))
    container.ContinuityOfContent, container.ContentSequence = "SEPARATE", list(items)
    if template is not None:
        identified = Dataset()
        identified.MappingResource, identified.TemplateIdentifier = "DCMR", template
        container.ContentTemplateSequence = [identified]
    return container


def coded_item(relation: str, name: Dataset, value: Dataset) -> Dataset:
    """Return an item whose value is a coded entry."""
    item = _item("CODE", relation, name)
    item.ConceptCodeSequence = [value]
    return item


def text_item(relation: str, name: Dataset, content: str) -> Dataset:
    """Return an item whose value is text."""
    item = _item("TEXT", relation, name)
    item.TextValue = content
    return item


def person_item(name: Dataset, person: str) -> Dataset:
    """Return an item of the observer whose value is a person's name."""
    item = _item("PNAME", "HAS OBS CONTEXT", name)
    item.PersonName = person
    return item


def uid_item(name: Dataset, uid: str) -> Dataset:
    """Return an item of the context whose value is a UID."""
    item = _item("UIDREF", "HAS OBS CONTEXT", name)
    item.UID = uid
    return item


def image_item(header: Dataset, name: Dataset | None = None, frames: Sequence[int] = ()) -> Dataset:
    """Return an item that names an image, or some of its frames, counted from 1."""
    item = _item("IMAGE", "CONTAINS", name)
    item.ReferencedSOPSequence = [_reference(header)]
    if frames:
        item.ReferencedSOPSequence[0].ReferencedFrameNumber = list(frames)
    return item


SOURCE = ("260753009", "Source", "SCT")
"""Concept name of the image of a measurement group."""
