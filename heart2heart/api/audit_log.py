"""Verifies, shows and exports an audit log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited, key_mac
from heart2heart.errors import ExistsError
from heart2heart.schema.enums import AuditAction, AuditPhase

if TYPE_CHECKING:
    from heart2heart.audit.log import AuditVerdict
    from heart2heart.schema.audit import AuditRecord


def verify_audit_log(path: str | Path, *, key: str | Path | None = None, head: str | None = None) -> AuditVerdict:
    """Check every record of an audit log.

    Args:
        path: The log.
        key: Key of the log, if it has one.
        head: Head that an earlier verification printed: it must still be in the log.

    Returns:
        The number of records, the head, and what was changed; `require_intact` raises an error.

    Raises:
        MissingInputError: no such file.
        ConfigError: the log has a key and none was given.

    Examples:
        >>> from heart2heart.api import use_audit_log, verify_audit_log
        >>> import os
        >>> import heart2heart as h2h
        >>> before = os.environ.get("HEART2HEART_AUDIT_LOG", "audit.jsonl")
        >>> use_audit_log("checked.jsonl")
        >>> _ = h2h.deidentify_files("clip.dcm", out="audited_copies", key="clean.key", site="A", workers=1)
        >>> verdict = verify_audit_log("checked.jsonl")
        >>> verdict.records, verdict.faults, len(verdict.head)
        (3, [], 64)
        >>> use_audit_log(before)
    """
    from heart2heart.audit.log import verify_log
    from heart2heart.deidentify.pseudonyms import Key

    mac = None if key is None else key_mac(Key.load(Path(key)).secret)
    return verify_log(Path(path), mac=mac, head=head)


def read_audit_log(path: str | Path) -> Iterator[AuditRecord]:
    """Yield the records of an audit log, the oldest first; `verify_audit_log` checks them.

    Examples:
        >>> from heart2heart.api import read_audit_log
        >>> import os
        >>> import heart2heart as h2h
        >>> from heart2heart.api import use_audit_log
        >>> before = os.environ.get("HEART2HEART_AUDIT_LOG", "audit.jsonl")
        >>> use_audit_log("shown.jsonl")
        >>> _ = h2h.deidentify_files("clip.dcm", out="shown_copies", key="clean.key", site="A", workers=1)
        >>> [f"{record.action} {record.phase}" for record in read_audit_log("shown.jsonl")]
        ['start ended', 'deidentify began', 'deidentify ended']
        >>> use_audit_log(before)
    """
    from heart2heart.audit.log import read_records

    return read_records(Path(path))


@audited(AuditAction.READ_LOG, beside="path", reads=["path"], writes=["out"])
def export_audit_log(path: str | Path, out: str | Path) -> int:
    """Write an audit log as DICOM Audit Messages (PS3.15 section A.5), one XML file an operation.

    Args:
        path: The log.
        out: New folder for `000000.xml` and so on.

    Returns:
        The number of messages.

    Raises:
        MissingInputError: no such file.
        ExistsError: the folder exists and is not empty.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.api import export_audit_log, use_audit_log
        >>> import os
        >>> import heart2heart as h2h
        >>> before = os.environ.get("HEART2HEART_AUDIT_LOG", "audit.jsonl")
        >>> use_audit_log("exported.jsonl")
        >>> _ = h2h.deidentify_files("clip.dcm", out="exported_copies", key="clean.key", site="A", workers=1)
        >>> use_audit_log(before)
        >>> export_audit_log("exported.jsonl", "messages"), "110106" in Path("messages/000002.xml").read_text()
        (2, True)
    """
    from xml.etree import ElementTree as ET

    from heart2heart.audit.log import read_records
    from heart2heart.audit.message import audit_message, is_reported
    from heart2heart.utils import write_text

    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise ExistsError("this folder is not empty", where=folder, remedy="Name a new folder")
    ended = {record.operation for record in read_records(Path(path)) if record.phase is AuditPhase.ENDED}
    messages = 0
    for record in read_records(Path(path)):
        # The export itself has begun, and ends later.
        interrupted = record.operation not in ended and record.action is not AuditAction.READ_LOG
        if not (is_reported(record) or interrupted):
            continue
        message = audit_message(record, interrupted=interrupted)
        ET.indent(message)
        text = ET.tostring(message, encoding="unicode", xml_declaration=False)
        write_text(folder / f"{record.number:06d}.xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')
        messages += 1
    return messages
