"""Builds a DICOM structured report with the view of each clip of a study, for the hospital's own archive.

The content follows TID 1500 "Measurement Report" with an Image Library (TID 1600) and one Measurement Group (TID 1501)
for each clip: its source image, and Image View (111031, DCM) from CID 12226 as a qualitative evaluation. CID 12226 has
no code for A5C and OTHER. They have codes of a private scheme, which the report identifies (PS3.3 section C.12.1,
PS3.16).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ComprehensiveSRStorage, ExplicitVRLittleEndian

from heart2heart.labels.dicom_views import CONSENSUS_DEVICE_PREFIX, DEVICE_NAME, IMAGE_VIEW
from heart2heart.schema.views import PRIVATE_SCHEME, get_view

IMPLEMENTATION_CLASS_UID = UID("2.25.73811523049962016548310284756109923341")
_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_SERIES = 9000  # series number: above those of a scanner
_REQUIRED = tuple(name for name in _PATIENT_AND_STUDY if name != "IssuerOfPatientID")


def new_uid() -> str:
    """Return a new UID: 2.25 and a random UUID (PS3.5 annex B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def make_structured_report(headers: Sequence[Dataset], views: Mapping[str, str], rule: str) -> Dataset:
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
    if any(get_view(view).scheme == PRIVATE_SCHEME for view in views.values()):
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


def _content(headers: Sequence[Dataset], views: Mapping[str, str], rule: str) -> Dataset:
    library = _container("111028", "Image Library", [_container("126200", "Image Library Group",
        [_image(header) for header in headers])], template="1600")  # fmt: skip
    groups = []
    for at, header in enumerate(headers, start=1):
        view = get_view(views[str(header.SOPInstanceUID)])
        groups.append(_container("125007", "Measurement Group", [
            _text("112039", "Tracking Identifier", f"clip {at}", "HAS OBS CONTEXT"),
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
