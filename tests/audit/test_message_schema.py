"""The check of audit messages: what the RELAX NG schema of PS3.15 A.5.1.1 forbids is a fault."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from heart2heart.audit.log import ChainEnd
from heart2heart.audit.message import audit_message
from heart2heart.audit.message_schema import ELEMENTS, message_faults
from tests.audit.chain import build

EXAMPLE = """<AuditMessage><EventIdentification EventActionCode="E" EventDateTime="2009-03-26T16:51:00Z"
EventOutcomeIndicator="0"><EventID csd-code="110112" codeSystemName="DCM" originalText="Query"/></EventIdentification>
<ActiveParticipant UserID="reader" UserIsRequestor="true" NetworkAccessPointID="192.0.2.1"
NetworkAccessPointTypeCode="2"><RoleIDCode csd-code="110153" codeSystemName="DCM" originalText="Source Role ID"/>
</ActiveParticipant><AuditSourceIdentification AuditSourceID="archive"/></AuditMessage>"""


def _first(message: ET.Element, path: str) -> ET.Element:
    element = message.find(path)
    assert element is not None
    return element


def _swap(message: ET.Element) -> None:
    children = list(message)
    for child in children:
        message.remove(child)
    message.extend(reversed(children))


FAULTS: dict[str, Callable[[ET.Element], object]] = {
    "lacks EventDateTime": lambda m: _first(m, "EventIdentification").attrib.pop("EventDateTime"),
    "impossible EventOutcomeIndicator": lambda m: _first(m, "EventIdentification").set("EventOutcomeIndicator", "1"),
    "impossible EventDateTime": lambda m: _first(m, "EventIdentification").set("EventDateTime", "yesterday"),
    "unknown attribute Colour": lambda m: _first(m, "ActiveParticipant").set("Colour", "red"),
    "0 ActiveParticipant": lambda m: m.__delitem__(slice(1, 3)),
    "2 AuditSourceIdentification": lambda m: m.insert(4, ET.Element("AuditSourceIdentification", AuditSourceID="x")),
    "another order": _swap,
    "has text": lambda m: setattr(_first(m, "ActiveParticipant"), "text", "x"),
    "has the child Extra": lambda m: ET.SubElement(m, "Extra"),
    "no base64": lambda m: _first(m, ".//ParticipantObjectDetail").set("value", "???"),
    "impossible text": lambda m: setattr(_first(m, ".//ParticipantObjectName"), "text", ""),
    "impossible csd-code": lambda m: _first(m, ".//EventID").set("csd-code", ""),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_message_faults_names_each_fault(fault: str) -> None:
    message = audit_message(build()(ChainEnd()))
    assert message_faults(message) == []
    FAULTS[fault](message)
    assert any(fault in each for each in message_faults(message))


def test_message_faults_accepts_a_message_of_another_program() -> None:
    assert message_faults(ET.fromstring(EXAMPLE)) == []
    assert message_faults(ET.Element("Message")) == ["the root is Message"]


def test_elements_define_every_child() -> None:
    children = {name for rule in ELEMENTS.values() for name, _, _ in rule.children}
    assert children | {"AuditMessage"} == set(ELEMENTS)
