"""DICOM Audit Messages: one for each action, valid by the schema of PS3.15 A.5.1, with the codes of PS3.16."""

from __future__ import annotations

import base64

import pytest
from pydicom.sr.codedict import codes

from heart2heart.audit.log import ChainEnd
from heart2heart.audit.message import EVENT_TYPES, EVENTS, audit_message, is_reported
from heart2heart.audit.message_schema import message_faults
from heart2heart.schema.audit import AuditObject
from heart2heart.schema.enums import AuditAction, AuditPhase
from tests.audit.chain import build


@pytest.mark.parametrize("action", list(AuditAction))
def test_audit_message_is_valid_for_every_action(action: AuditAction) -> None:
    objects = tuple(
        AuditObject(role=role, path="a" * 64, name=name) for role, name in (("input", None), ("output", "store"))
    )
    record = build(action)(ChainEnd(number=7, previous="0" * 64)).model_copy(update={"objects": objects, "site": "A"})
    message = audit_message(record)
    assert message_faults(message) == []
    event = message.find("EventIdentification/EventID")
    assert event is not None
    assert (event.get("csd-code"), event.get("codeSystemName")) == (EVENTS[action][0][0], "DCM")
    assert [each.get("UserIsRequestor") for each in message.findall("ActiveParticipant")] == ["true", "false"]
    details = {each.get("type"): each.get("value") for each in message.iter("ParticipantObjectDetail")}
    assert base64.b64decode(str(details["files"])) == b"3"
    assert [each.text for each in message.iter("ParticipantObjectName")] == ["a" * 16, "store", "record 7"]


def test_events_have_the_codes_and_meanings_of_the_standard() -> None:
    known = {
        str(code.value): str(code.meaning)
        for group in (codes.cid400, codes.cid401)
        for code in (getattr(group, name) for name in group.dir())
    }
    assert {code: meaning for (code, meaning), _ in EVENTS.values()}.items() <= known.items()
    assert dict(EVENT_TYPES.values()).items() <= known.items()


def test_audit_message_tells_a_failure_and_an_interruption() -> None:
    record = build()(ChainEnd())
    outcomes = []
    for message in (
        audit_message(record.model_copy(update={"error": "StoreError"})),
        audit_message(record, interrupted=True),
    ):
        event = message.find("EventIdentification")
        assert event is not None
        outcomes.append((event.get("EventOutcomeIndicator"), event.findtext("EventOutcomeDescription")))
    assert outcomes == [("8", "StoreError"), ("8", "The operation began and has not ended.")]


def test_is_reported_leaves_out_the_beginning_of_an_operation() -> None:
    ended = build()(ChainEnd())
    assert is_reported(ended)
    assert not is_reported(ended.model_copy(update={"phase": AuditPhase.BEGAN}))
