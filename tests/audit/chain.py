"""Records for the tests of the audit log."""

from __future__ import annotations

from pathlib import Path

from heart2heart.api.audit import key_mac
from heart2heart.audit.log import Build, ChainEnd, append_record
from heart2heart.schema.audit import AuditRecord, Mac
from heart2heart.schema.enums import AuditAction, AuditPhase

MAC = key_mac(b"k" * 32)


def build(action: AuditAction = AuditAction.INGEST, *, operation: str = "op", keyed: bool = False) -> Build:
    """Return what makes a record at the end of a chain."""

    def record(end: ChainEnd) -> AuditRecord:
        return AuditRecord(
            number=end.number, time="2026-11-27T10:00:00+00:00", action=action, phase=AuditPhase.ENDED,
            operation=operation, user="tester", host="machine", process=1, program="heart2heart test",
            counts={"files": 3}, keyed=keyed and end.first is None, torn_sha256=end.torn_sha256, previous=end.previous,
        )  # fmt: skip

    return record


def append(path: Path, count: int = 1, *, mac: Mac | None = None) -> list[AuditRecord]:
    """Append records, after the first one of a new log."""
    start = build(AuditAction.START, keyed=mac is not None)
    operations = (f"op{suffix}" for suffix in range(count))
    return [append_record(path, build(operation=name), start=start, mac=mac) for name in operations]
