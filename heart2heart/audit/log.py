"""Appends to an audit log, and verifies it.

Several processes may append at once: each takes a lock on the file, reads the last record, and writes the next one in
one call, which reaches the disk before the operation goes on. Nothing is ever removed. A line that a crash cut off
stays; the next record holds its hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heart2heart.errors import ConfigError, Heart2HeartError, MissingInputError, UnwritableError
from heart2heart.schema.audit import MAX_LINE_BYTES, MAX_LOG_BYTES, AuditRecord, Mac, has_mac, parse_line
from heart2heart.utils import is_disk_full, make_private_folder, no_space

_TAIL_BYTES = 8 * MAX_LINE_BYTES
_MAX_FAULTS = 20  # that a verdict lists
_OTHER_LOG = "Give --audit-log, or set HEART2HEART_AUDIT_LOG, to use another file"


class AuditLogChangedError(Heart2HeartError, ValueError):
    """An audit log was changed after it was written."""

    exit_code = 3


@dataclass(frozen=True)
class ChainEnd:
    """The end of a log as an append finds it.

    Attributes:
        number: Number of the next record.
        previous: Hash of the last record; empty in a new log.
        torn_sha256: Hash of what a crash left after the last record.
        newline: Whether that ends within a line.
        first: The first record; None in a new log.
    """

    number: int = 0
    previous: str = ""
    torn_sha256: str | None = None
    newline: bool = False
    first: AuditRecord | None = None


Build = Callable[[ChainEnd], AuditRecord]


def append_record(path: Path, build: Build, *, start: Build, mac: Mac | None) -> AuditRecord:
    """Append a record to a log, which is made with mode 0600 if it is missing.

    Args:
        path: The log.
        build: Makes the record from the end of the chain.
        start: Makes the first record of a new log.
        mac: HMAC under the key of the log; None for a log without key.

    Raises:
        UnwritableError: the file cannot be written, or is full.
        NoSpaceError: the disk is full.
        ConfigError: others may read or write the log, it has a key and none was given, or the reverse.
        AuditLogChangedError: its end is no record, so that the chain cannot go on.
    """
    try:
        with _locked(path) as handle:
            if _chain_end(handle, path).first is None:
                _write_next(handle, path, start, mac)
            return _write_next(handle, path, build, mac)
    except Heart2HeartError:
        raise
    except OSError as error:
        if is_disk_full(error):
            raise no_space(path) from error
        what = f"the audit log cannot be written ({error.strerror})"
        raise UnwritableError(what, where=path, remedy=_OTHER_LOG) from error


def _write_next(handle: int, path: Path, build: Build, mac: Mac | None) -> AuditRecord:
    end = _chain_end(handle, path)
    if end.first is not None and end.first.keyed != (mac is not None):
        what = "this audit log has a key" if end.first.keyed else "this audit log has no key"
        remedy = "Set HEART2HEART_AUDIT_KEY to the key of its first record" if end.first.keyed else _OTHER_LOG
        raise ConfigError(what, where=path, remedy=remedy)
    record = build(end)
    line = b"\n" * end.newline + record.line(mac)
    if len(line) > MAX_LINE_BYTES:
        raise ConfigError(f"a record of the audit log has more than {MAX_LINE_BYTES} bytes", where=path)
    if os.fstat(handle).st_size + len(line) > MAX_LOG_BYTES:
        remedy = "Move it away, keep it, and note its head; a new log begins"
        raise UnwritableError("this audit log is full", where=path, remedy=remedy)
    if os.write(handle, line) != len(line):
        raise no_space(path)
    os.fsync(handle)
    return record


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    make_private_folder(path.parent)
    is_new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode) or stat.S_IMODE(mode) & 0o077:
            remedy = f"Run: chmod 600 {path}"
            raise ConfigError("the audit log can be read or changed by others", where=path, remedy=remedy)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if is_new:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        yield handle
    finally:
        os.close(handle)


def _chain_end(handle: int, path: Path) -> ChainEnd:
    size = os.fstat(handle).st_size
    if not size:
        return ChainEnd()
    heads = (parse_line(line) for line in os.pread(handle, _TAIL_BYTES, 0).splitlines(keepends=True))
    first = next((known[0] for known in heads if known is not None), None)
    start = max(0, size - _TAIL_BYTES)
    lines = os.pread(handle, size - start, start).splitlines(keepends=True)
    torn = b""
    while lines:
        line = lines.pop()
        known = parse_line(line)
        if known is not None and known[0].digest() == known[1]:
            record, digest, _ = known
            newline = not (line + torn).endswith(b"\n")
            return ChainEnd(record.number + 1, digest, _torn_hash(torn), newline, first)
        torn = line + torn
    if start == 0:  # the very first record was cut off
        return ChainEnd(torn_sha256=_torn_hash(torn), newline=not torn.endswith(b"\n"))
    remedy = "Run `heart2heart audit verify`, keep the file, and give --audit-log with a new one"
    raise AuditLogChangedError("the end of this audit log is damaged", where=path, remedy=remedy)


def _torn_hash(torn: bytes) -> str | None:
    """Return the hash of incomplete lines; the end of the last one may have been added later."""
    content = torn.rstrip(b"\n")
    return hashlib.sha256(content).hexdigest() if content else None


@dataclass
class AuditVerdict:
    """What the verification of a log found.

    Attributes:
        records: Number of records.
        head: Hash of the last record; note it elsewhere, so that a removal of later records shows.
        first: Time of the first record.
        last: Time of the last record.
        keyed: Whether every record carries an HMAC that was checked.
        anchored: Whether the noted head is in the chain; None if none was given.
        torn: Lines that a crash cut off.
        faults: Line and reason of each change, the first 20.
        open_operations: Operations that began and have not ended.
    """

    records: int = 0
    head: str = ""
    first: str = ""
    last: str = ""
    keyed: bool = False
    anchored: bool | None = None
    torn: list[int] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    open_operations: int = 0

    def require_intact(self, path: Path) -> None:
        """Raise AuditLogChangedError unless the chain is whole and holds the noted head."""
        remedy = "Compare it with your copies; keep both files"
        if self.faults:
            line, reason = self.faults[0]
            where = f"{path}, line {line}"
            raise AuditLogChangedError(f"the audit log was changed: {reason}", where=where, remedy=remedy)
        if self.anchored is False:
            raise AuditLogChangedError("the noted head is not in this audit log", where=path, remedy=remedy)


def read_log(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each line of a log; a line longer than a record is given in pieces.

    Raises:
        MissingInputError: no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as handle:
            number = 0
            while line := handle.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield number, line
    except OSError as error:
        remedy = "Name the file that `--audit-log` named, or audit.jsonl beside the store"
        raise MissingInputError("no audit log can be read here", where=path, remedy=remedy) from error


def verify_log(path: Path, *, mac: Mac | None = None, head: str | None = None) -> AuditVerdict:
    """Check every record of a log, in one pass with constant memory.

    A chain without key shows changes by who does not rewrite all later records; with a key also a rewrite by who does
    not hold it. Neither shows that the last records were removed, unless a later head was noted elsewhere.

    Args:
        path: The log.
        mac: HMAC under the key of the log.
        head: A hash that `verify_log` returned earlier; it must be in the chain.

    Raises:
        MissingInputError: see `read_log`.
        ConfigError: the log has a key and none was given.
    """
    verdict, previous, torn = AuditVerdict(anchored=None if head is None else False), "", b""
    began: set[str] = set()
    for number, line in read_log(path):
        known = parse_line(line)
        if known is None:
            torn += line[: max(0, _TAIL_BYTES - len(torn))]
            verdict.torn.append(number)
            continue
        record, stated, stated_mac = known
        if not verdict.records:
            verdict.keyed, verdict.first = record.keyed, record.time
            if record.keyed and mac is None:
                remedy = "Give --key with the key of the log"
                raise ConfigError("this audit log has a key", where=path, remedy=remedy)
        reason = _fault(record, stated, previous, verdict.records, torn)
        if reason is None and record.keyed != (verdict.keyed and record.number == 0):
            reason = "a record states another key"
        if reason is None and mac is not None and not has_mac(stated, stated_mac, mac):
            reason = "the HMAC is not that of the key"
        if reason is not None and len(verdict.faults) < _MAX_FAULTS:
            verdict.faults.append((number, reason))
        previous, torn = stated, b""
        verdict.records, verdict.head, verdict.last = verdict.records + 1, stated, record.time
        if head is not None and head == stated:
            verdict.anchored = True
        (began.add if record.phase == "began" else began.discard)(record.operation)
    if not verdict.records:
        verdict.faults.append((1, "it holds no record"))
    verdict.keyed, verdict.open_operations = verdict.keyed and mac is not None, len(began)
    return verdict


def _fault(record: AuditRecord, stated: str, previous: str, number: int, torn: bytes) -> str | None:
    if record.digest() != stated:
        return "a record was changed"
    if record.number != number or record.previous != previous:
        return "a record was removed, inserted or moved"
    if record.torn_sha256 != _torn_hash(torn):
        return "an incomplete line before this record was changed"
    return None


def read_records(path: Path) -> Iterator[AuditRecord]:
    """Yield the records of a log without checking the chain; lines that are no records are left out."""
    for _, line in read_log(path):
        known: Any = parse_line(line)
        if known is not None:
            yield known[0]


def new_salt() -> str:
    """Return a random key for the hashes of paths."""
    return secrets.token_hex(32)
