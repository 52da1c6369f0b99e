"""Writes records of the audit log as DICOM Audit Messages (PS3.15 section A.5), XML in the form of RFC 3881.

Codes are of PS3.16: event identifiers of CID 400, event types of CID 401, roles of CID 402. The messages name objects
by keyed hashes and hospitals by name; they name no patient and no study, which the per-event tables of section A.5.3
require of a PACS, because this program keeps none.
"""

from __future__ import annotations

import base64
from xml.etree import ElementTree as ET

from heart2heart.errors import InternalError
from heart2heart.schema.audit import AuditObject, AuditRecord
from heart2heart.schema.enums import AuditAction, AuditPhase

Code = tuple[str, str]

EVENTS: dict[AuditAction, tuple[Code, str]] = {
    AuditAction.START: (("110113", "Security Alert"), "E"),
    AuditAction.INGEST: (("110107", "Import"), "C"),
    AuditAction.LINK: (("110103", "DICOM Instances Accessed"), "R"),
    AuditAction.DEIDENTIFY: (("110106", "Export"), "R"),
    AuditAction.VERIFY_DEID: (("110103", "DICOM Instances Accessed"), "R"),
    AuditAction.PULL: (("110104", "DICOM Instances Transferred"), "C"),
    AuditAction.RECEIVE: (("110104", "DICOM Instances Transferred"), "C"),
    AuditAction.LABEL: (("110103", "DICOM Instances Accessed"), "U"),
    AuditAction.IMPORT_LABELS: (("110107", "Import"), "U"),
    AuditAction.EXPORT_LABELS: (("110106", "Export"), "R"),
    AuditAction.REVIEW: (("110103", "DICOM Instances Accessed"), "U"),
    AuditAction.SHOW: (("110106", "Export"), "R"),
    AuditAction.TRAIN: (("110103", "DICOM Instances Accessed"), "R"),
    AuditAction.PREDICT: (("110103", "DICOM Instances Accessed"), "R"),
    AuditAction.SEND: (("110104", "DICOM Instances Transferred"), "C"),
    AuditAction.EVALUATE: (("110103", "DICOM Instances Accessed"), "R"),
    AuditAction.RELEASE: (("110106", "Export"), "R"),
    AuditAction.ROTATE_KEY: (("110113", "Security Alert"), "E"),
    AuditAction.READ_LOG: (("110101", "Audit Log Used"), "R"),
}
"""Action -> event identifier of CID 400, and action code."""

EVENT_TYPES: dict[AuditAction, Code] = {
    AuditAction.START: ("110134", "Audit Recording Started"),
    AuditAction.ROTATE_KEY: ("110129", "Security Configuration"),
}
"""Action -> event type of CID 401, where the identifier alone does not say it."""

_SYSTEM_OBJECT, _REPORT, _MACHINE_NAME = "2", "3", "1"
_LIFE_CYCLE = {"input": "6", "output": "1"}  # access, origination
_APPLICATION_SOURCE = "4"  # application server process


def audit_message(record: AuditRecord, *, interrupted: bool = False) -> ET.Element:
    """Return the message of an operation.

    Args:
        record: The record of its end, or of its beginning if it has no end.
        interrupted: Whether it began and has not ended.

    Raises:
        InternalError: the message would break the schema of section A.5.1.
    """
    from heart2heart.audit.message_schema import message_faults

    (code, meaning), action = EVENTS[record.action]
    failed = record.error is not None or interrupted
    message = ET.Element("AuditMessage")
    stated = {
        "EventActionCode": action,
        "EventDateTime": record.time,
        "EventOutcomeIndicator": "8" if failed else "0",
    }
    event = ET.SubElement(message, "EventIdentification", stated)
    _code(event, "EventID", code, meaning)
    if record.action in EVENT_TYPES:
        _code(event, "EventTypeCode", *EVENT_TYPES[record.action])
    _code(event, "EventTypeCode", record.action, f"heart2heart {record.action}", system="heart2heart")
    if failed:
        description = record.error or "The operation began and has not ended."
        ET.SubElement(event, "EventOutcomeDescription").text = description
    where = {"NetworkAccessPointID": record.host, "NetworkAccessPointTypeCode": _MACHINE_NAME}
    ET.SubElement(message, "ActiveParticipant", {"UserID": record.user, "UserIsRequestor": "true", **where})
    process = {"UserID": str(record.process), "UserName": record.program, "UserIsRequestor": "false", **where}
    _code(ET.SubElement(message, "ActiveParticipant", process), "RoleIDCode", "110150", "Application")
    source = {"AuditSourceID": record.host} | ({"AuditEnterpriseSiteID": record.site} if record.site else {})
    reporter = ET.SubElement(message, "AuditSourceIdentification", source)
    ET.SubElement(reporter, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SOURCE})
    for each in record.objects:
        _object(message, each)
    _details(message, record)
    faults = message_faults(message)
    if faults:
        raise InternalError(f"an audit message breaks PS3.15 A.5.1: {faults[0]}")
    return message


def is_reported(record: AuditRecord) -> bool:
    """Return whether a record gives a message by itself: the end of an operation, or the beginning of the log."""
    return record.phase is AuditPhase.ENDED or record.action is AuditAction.START


def _code(parent: ET.Element, name: str, code: str, meaning: str, *, system: str = "DCM") -> None:
    ET.SubElement(parent, name, {"csd-code": code, "codeSystemName": system, "originalText": meaning})


def _object(message: ET.Element, each: AuditObject) -> None:
    stated = {
        "ParticipantObjectID": each.path,
        "ParticipantObjectTypeCode": _SYSTEM_OBJECT,
        "ParticipantObjectTypeCodeRole": _REPORT,
        "ParticipantObjectDataLifeCycle": _LIFE_CYCLE[each.role],
    }
    element = ET.SubElement(message, "ParticipantObjectIdentification", stated)
    _code(element, "ParticipantObjectIDTypeCode", "path_hash", "Keyed hash of a path", system="heart2heart")
    ET.SubElement(element, "ParticipantObjectName").text = each.name or each.path[:16]


def _details(message: ET.Element, record: AuditRecord) -> None:
    """Add the record itself as an object: its hash, and the numbers of the result."""
    stated = {"ParticipantObjectID": record.digest(), "ParticipantObjectTypeCode": _SYSTEM_OBJECT}
    stated |= {"ParticipantObjectTypeCodeRole": "13"}  # security resource
    element = ET.SubElement(message, "ParticipantObjectIdentification", stated)
    _code(element, "ParticipantObjectIDTypeCode", "record_hash", "SHA-256 of an audit record", system="heart2heart")
    ET.SubElement(element, "ParticipantObjectName").text = f"record {record.number}"
    values = {"operation": record.operation} | {name: str(count) for name, count in sorted(record.counts.items())}
    for name, value in values.items():
        encoded = base64.b64encode(value.encode()).decode()
        ET.SubElement(element, "ParticipantObjectDetail", {"type": name, "value": encoded})
