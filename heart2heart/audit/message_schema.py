"""Checks a DICOM Audit Message against the schema of PS3.15 section A.5.1.1, which the standard gives as RELAX NG.

`ELEMENTS` restates the part of the schema that messages without DICOM object descriptions use: which attributes and
children an element has, how often, in which order, and which values are permitted.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

ANY = r"(?s).*"
TOKEN = r"\S(?:[^\n\r\t]*\S)?"
DATE_TIME = r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
BOOLEAN = "true|false|0|1"


@dataclass(frozen=True)
class ElementRule:
    """What the schema permits in an element.

    Attributes:
        required: Attribute -> pattern of its value.
        optional: Attribute -> pattern of its value.
        children: Child, least number, greatest number (None: any), in order.
        text: Pattern of the text; None: no text.
        binary: Attributes that hold base64.
    """

    required: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)
    children: tuple[tuple[str, int, int | None], ...] = ()
    text: str | None = None
    binary: tuple[str, ...] = ()


def _numbers(last: int) -> str:
    return "|".join(str(value) for value in range(1, last + 1))


_CODED = ElementRule({"csd-code": TOKEN, "codeSystemName": TOKEN, "originalText": TOKEN}, {"displayName": TOKEN})

ELEMENTS: dict[str, ElementRule] = {
    "AuditMessage": ElementRule(
        children=(
            ("EventIdentification", 1, 1),
            ("ActiveParticipant", 1, None),
            ("AuditSourceIdentification", 1, 1),
            ("ParticipantObjectIdentification", 0, None),
        )
    ),
    "EventIdentification": ElementRule(
        {"EventDateTime": DATE_TIME, "EventOutcomeIndicator": "0|4|8|12"},
        {"EventActionCode": "C|R|U|D|E"},
        (("EventID", 1, 1), ("EventTypeCode", 0, None), ("EventOutcomeDescription", 0, 1)),
    ),
    "EventID": _CODED,
    "EventTypeCode": _CODED,
    "EventOutcomeDescription": ElementRule(text=ANY),
    "ActiveParticipant": ElementRule(
        {"UserID": ANY, "UserIsRequestor": BOOLEAN},
        {
            "AlternativeUserID": ANY,
            "UserName": ANY,
            "NetworkAccessPointID": TOKEN,
            "NetworkAccessPointTypeCode": _numbers(5),
        },
        (("RoleIDCode", 0, None),),
    ),
    "RoleIDCode": _CODED,
    "AuditSourceIdentification": ElementRule(
        {"AuditSourceID": TOKEN}, {"AuditEnterpriseSiteID": TOKEN}, (("AuditSourceTypeCode", 0, None),)
    ),
    "AuditSourceTypeCode": ElementRule(
        {"csd-code": TOKEN}, {"codeSystemName": TOKEN, "displayName": TOKEN, "originalText": TOKEN}
    ),
    "ParticipantObjectIdentification": ElementRule(
        {"ParticipantObjectID": TOKEN},
        {
            "ParticipantObjectTypeCode": _numbers(4),
            "ParticipantObjectTypeCodeRole": _numbers(26),
            "ParticipantObjectDataLifeCycle": _numbers(15),
            "ParticipantObjectSensitivity": TOKEN,
        },
        (
            ("ParticipantObjectIDTypeCode", 1, 1),
            ("ParticipantObjectName", 1, 1),
            ("ParticipantObjectDetail", 0, None),
        ),
    ),
    "ParticipantObjectIDTypeCode": _CODED,
    "ParticipantObjectName": ElementRule(text=TOKEN),
    "ParticipantObjectDetail": ElementRule({"type": TOKEN, "value": ANY}, binary=("value",)),
}
"""Element -> what is permitted in it."""


def message_faults(message: ET.Element) -> list[str]:
    """Return what breaks the schema, one sentence each; an empty list for a valid message."""
    if message.tag != "AuditMessage":
        return [f"the root is {message.tag}"]
    return _faults(message)


def _faults(element: ET.Element) -> list[str]:
    rule = ELEMENTS.get(element.tag)
    if rule is None:
        return [f"{element.tag} is not in the schema"]
    faults = [f"{element.tag} lacks {name}" for name in rule.required if name not in element.attrib]
    permitted = rule.required | rule.optional
    for name, value in element.attrib.items():
        if name not in permitted:
            faults.append(f"{element.tag} has the unknown attribute {name}")
        elif re.fullmatch(permitted[name], value) is None:
            faults.append(f"{element.tag} has an impossible {name}")
        elif name in rule.binary and not _is_base64(value):
            faults.append(f"{element.tag} has a {name} that is no base64")
    text = (element.text or "").strip()
    if rule.text is None and text:
        faults.append(f"{element.tag} has text")
    elif rule.text is not None and re.fullmatch(rule.text, text) is None:
        faults.append(f"{element.tag} has impossible text")
    faults += _child_faults(element, rule)
    for child in element:
        faults += _faults(child)
    return faults


def _child_faults(element: ET.Element, rule: ElementRule) -> list[str]:
    names = [child.tag for child in element]
    order = [name for name, _, _ in rule.children]
    ranks = [order.index(name) for name in names if name in order]
    faults = [f"{element.tag} has the child {name}" for name in names if name not in order]
    if ranks != sorted(ranks):
        faults.append(f"the children of {element.tag} are in another order")
    for name, least, most in rule.children:
        if not least <= names.count(name) <= (len(names) if most is None else most):
            faults.append(f"{element.tag} has {names.count(name)} {name}")
    return faults


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
